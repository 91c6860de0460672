"""Fashion-MNIST at 32x32 with grey values, as the official InfoDiffusion code prepares it."""

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F

from paramrel.data._downloads import Form
from paramrel.data._prepared import Chunk
from paramrel.data.fashionmnist_binarized import FashionMnistBinarized


class FashionMnist32(FashionMnistBinarized):
    """Fashion-MNIST enlarged to 32x32 by bilinear interpolation, 256 grey levels.

    For ``preset: infodiffusion_official``. That code flips images at random also when it extracts codes; here the
    preset flips in training only (``train.flip``).
    """

    name = "fashionmnist_32"
    title = "Fashion-MNIST (32x32 grey)"
    shape = (1, 32, 32)
    bins = 256
    kind = "discretised"
    binarise = "no"

    def read(self, form: Form, root: Path) -> Iterator[Chunk]:
        for split, small, labels in super().read(form, root):
            parts = torch.from_numpy(small).split(10_000)
            large = [F.interpolate(part, size=self.shape[1:], mode="bilinear", antialias=True) for part in parts]
            yield split, torch.cat(large).numpy(), labels
