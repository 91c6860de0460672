"""Pairs of images."""

import numpy as np

from metrics._base import Arrays


def pairs(arrays: Arrays, made: str, of: str = "x_test") -> tuple[np.ndarray, np.ndarray]:
    """(made, source) images in float64, both (M, C, H, W) in [0, 1]."""
    return arrays[made].astype(np.float64), arrays[of].astype(np.float64)
