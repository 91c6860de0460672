"""Pairs of images, and noise to compare them with."""

import numpy as np

from metrics._base import Arrays
from paramrel.errors import Unsupported, UserError


def pairs(arrays: Arrays, made: str, of: str = "x_test") -> tuple[np.ndarray, np.ndarray]:
    """(made, source) images in float64, both (M, C, H, W) in [0, 1]."""
    return arrays[made].astype(np.float64), arrays[of].astype(np.float64)


def binary_pairs(arrays: Arrays, made: str) -> tuple[np.ndarray, np.ndarray]:
    """(made, x_test) after thresholding at 1/2, bool (M, C, H, W).

    Raises ``Unsupported`` where ``binary`` says that the images are not binary, and ``UserError`` where they are not
    although it says so.
    """
    if not arrays["binary"]:
        raise Unsupported("the images are not binary")
    source = arrays["x_test"]
    if not np.isin(source, (0, 1)).all():
        raise UserError("x_test holds other values than 0 and 1, and binary is True: leave binary out for grey values")
    return arrays[made] > 0.5, source > 0.5


def noise_like(images: np.ndarray) -> np.ndarray:
    """Images (M, C, H, W) with the pixels of each channel shuffled over all images and places: the data's grey values
    and nothing else. One fixed draw."""
    by_channel = images.transpose(1, 0, 2, 3)
    rng = np.random.default_rng([0, len(images)])
    shuffled = rng.permuted(by_channel.reshape(len(by_channel), -1), axis=1)
    return shuffled.reshape(by_channel.shape).transpose(1, 0, 2, 3)
