"""Speckle: is there grain in images that real ones do not have?"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from scipy.ndimage import median_filter

from metrics._base import Arrays, Metric, NoConfig, Value
from metrics._images import noise_like
from paramrel.errors import Unsupported


class Speckle(Metric[NoConfig]):
    """Median over samples from the prior of |x - median(x)|, over the same of real held-out images; 1 is right.

    |x - median(x)|: mean absolute difference of an image and its 3x3 median, each channel by itself; the pixel at an
    edge is repeated beyond it. Above 1 there is grain, below 1 images are smoother than real ones. It does not see
    whether the images show anything. On faces at 32x32 the eye sees texture at 1.1, grain at 1.35 and noise at 1.5.
    """

    name = "speckle"
    version = 1
    title = "speckle of samples (1 is right)"
    places: ClassVar[Mapping[str, int]] = {"images": 130}
    direction = "none"
    range = (0.0, float("inf"))
    needs = ("sampled", "x_test")
    source = "ours"
    made: ClassVar[str] = "sampled"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        made, level = arrays[self.made], float(np.median(speckle(arrays["x_test"])))
        if level == 0:
            raise Unsupported("half of the real images have no speckle at all: there is nothing to compare with")
        return Value(float(np.median(speckle(made))) / level, len(made), (), f"real images: {level:.3g}")

    def chance(self, arrays: Arrays) -> float:
        """Of noise: the pixels of real images, shuffled."""
        real = arrays["x_test"]
        return float(np.median(speckle(noise_like(real))) / np.median(speckle(real)))


class SpeckleGenerated(Speckle):
    """The same of images that are generated with their codes given."""

    name = "speckle_generated"
    title = "speckle of images generated at own codes (1 is right)"
    places: ClassVar[Mapping[str, int]] = {"images": 140}
    needs = ("generated", "x_test")
    made = "generated"


class SpeckleFromCode(Speckle):
    """The same of images decoded from the code alone, in one step."""

    name = "speckle_from_code"
    title = "speckle from z alone (1 is right)"
    places: ClassVar[Mapping[str, int]] = {"images": 150}
    needs = ("decoded", "x_test")
    made = "decoded"


def speckle(images: np.ndarray) -> np.ndarray:
    """Mean absolute difference of images (N, C, H, W) and their 3x3 median, in pixels' own unit: (N,).

    Raises ``Unsupported`` for images under 3 x 3.
    """
    if min(images.shape[2:]) < 3:
        raise Unsupported("images under 3 x 3 have no 3x3 median")
    images = images.astype(np.float32)
    return np.abs(images - median_filter(images, (1, 1, 3, 3), mode="nearest")).mean((1, 2, 3), dtype=np.float64)
