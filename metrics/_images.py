"""Pairs of images, checked."""

import numpy as np

from metrics._base import Arrays
from paramrel.errors import UserError


def pairs(arrays: Arrays, made: str, of: str = "x_test") -> tuple[np.ndarray, np.ndarray]:
    """(made, source) images in float64, both (N, C, H, W) in [0, 1]. Raises ``UserError`` for other shapes."""
    images, source = np.asarray(arrays[made]), np.asarray(arrays[of])
    if images.ndim != 4 or images.shape != source.shape:
        raise UserError(f"{made} and {of} must be (N, C, H, W), both; got {images.shape} and {source.shape}")
    return images.astype(np.float64), source.astype(np.float64)
