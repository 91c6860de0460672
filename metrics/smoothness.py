"""Smoothness of interpolations: how far neighbouring images are from each other."""

import numpy as np

from metrics._base import Arrays, Metric, Value
from paramrel.errors import UserError


class Smoothness(Metric):
    """Distance of neighbouring images of an interpolation, mean over steps and pairs; the straight fade scores least.

    ``interpolated`` (P, S, C, H, W) in [0, 1]: S images from one to the other of P pairs. Distance: root mean square
    over pixels. It depends on S, so compare equal S only; ``extra`` holds S and the mean distance of every step.
    """

    name = "smoothness"
    version = 1
    title = "mean step of interpolations"
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

    def compute(self, arrays: Arrays, seed: int) -> Value:
        steps = neighbour_distances(arrays["interpolated"])
        return Value(float(steps.max(1).mean()), len(steps))


def neighbour_distances(images: np.ndarray) -> np.ndarray:
    """Root mean square difference of neighbours: (P, S, C, H, W) to (P, S - 1). Raises ``UserError`` if S < 2."""
    if images.ndim != 5 or images.shape[1] < 2:
        raise UserError(f"interpolated must be (P, S, C, H, W) with S >= 2; got {images.shape}")
    return np.sqrt(np.square(np.diff(images.astype(np.float64), axis=1)).mean((2, 3, 4)))
