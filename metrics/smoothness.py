"""Smoothness of interpolations: how far neighbouring images are from each other."""

import numpy as np

from metrics._base import Arrays, Metric, NoConfig, Value
from paramrel.errors import UserError


class Smoothness(Metric[NoConfig]):
    """Distance of neighbouring images of an interpolation, mean over steps and pairs; the straight fade scores least.

    ``interpolated`` (I, F, C, H, W) in [0, 1]: F images from one to the other of I pairs. Distance: root mean square
    over pixels. It depends on F, so compare equal F only; ``extra`` holds F and the mean distance of every step.
    """

    name = "smoothness"
    version = 1
    title = "mean step of interpolations"
    places = {"images": 110}
    digits = 4
    direction = "lower"
    range = (0.0, 1.0)
    needs = ("interpolated",)
    source = "ours"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        steps = neighbour_distances(arrays["interpolated"])
        extra = {"n_images": steps.shape[1] + 1, "per_step": steps.mean(0).tolist()}
        return Value(float(steps.mean()), len(steps), (), "", extra)


class SmoothnessMax(Smoothness):
    """The largest step of each interpolation, mean over pairs: a jump between two kinds of image shows here."""

    name = "smoothness_max"
    title = "largest step of interpolations"
    places = {"images": 120}

    def compute(self, arrays: Arrays, seed: int) -> Value:
        steps = neighbour_distances(arrays["interpolated"])
        return Value(float(steps.max(1).mean()), len(steps))


def neighbour_distances(images: np.ndarray) -> np.ndarray:
    """Root mean square difference of neighbours: (I, F, C, H, W) to (I, F - 1). Raises ``UserError`` if F < 2."""
    if images.shape[1] < 2:
        raise UserError(f"interpolated must be (I, F, C, H, W) with F >= 2; its shape is {images.shape}")
    return np.sqrt(np.square(np.diff(images.astype(np.float64), axis=1)).mean((2, 3, 4)))
