"""Images decoded from the code alone, in one step."""

import numpy as np

from metrics._base import Arrays, Metric, NoConfig, Value
from metrics._images import binary_pairs, pairs


class MseFromCode(Metric[NoConfig]):
    """Mean squared error of one-step decoding from z alone, pixels in [0, 1]."""

    name = "mse_from_code"
    version = 1
    title = "MSE from z alone"
    places = {"latent_usage": 100, "ablations": 90}
    digits = 4
    direction = "lower"
    range = (0.0, 1.0)
    needs = ("decoded", "x_test")
    source = "ours"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        made, source = pairs(arrays, "decoded")
        return Value(float(np.square(made - source).mean()), len(made))

    def chance(self, arrays: Arrays) -> float:
        """Variance of the pixels around the mean image: what a constant image scores."""
        images = arrays["x_test"].astype(np.float64)
        return float(np.square(images - images.mean(0)).mean())


class BitAccuracyFromCode(Metric[NoConfig]):
    """Share of binary pixels right after one-step decoding from z alone and thresholding at 1/2."""

    name = "bit_accuracy_from_code"
    version = 1
    title = "pixels right from z alone"
    places = {"latent_usage": 110}
    direction = "higher"
    range = (0.0, 1.0)
    needs = ("decoded", "x_test", "binary")
    source = "ours"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        made, source = binary_pairs(arrays, "decoded")
        return Value(float((made == source).mean()), len(made))

    def chance(self, arrays: Arrays) -> float:
        """What the thresholded mean image scores."""
        images = arrays["x_test"] > 0.5
        return float(((images.mean(0) > 0.5) == images).mean())
