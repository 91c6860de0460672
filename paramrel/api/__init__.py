"""The public interface: ``import paramrel`` gives what stands here (docs/api.md)."""

from paramrel.api.model import Model, train
from paramrel.api.scores import score
from paramrel.api.sources import Images, images
from paramrel.api.transformer import CodeTransformer

__all__ = ["CodeTransformer", "Images", "Model", "images", "score", "train"]
