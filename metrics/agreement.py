"""Class agreement of images generated at fixed codes."""

import numpy as np

from metrics._base import Arrays, Metric, Value
from metrics._probe import linear_probe


class Agreement(Metric):
    """Share of images, generated from the prior with z of a source image, in which a probe sees its class.

    The probe is a logistic regression on real training images' pixels. It says whether a decoder uses z: one
    that ignores it scores chance. The probe's own accuracy on the source images bounds it; it is in the note.
    """

    name = "agreement"
    version = 1
    title = "class agreement"
    direction = "higher"
    range = (0.0, 1.0)
    needs = ("generated", "y_test", "probe_x", "probe_y", "x_test")
    source = "ours"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        probe = linear_probe().fit(_flat(arrays["probe_x"]), arrays["probe_y"])
        seen = probe.predict(_flat(arrays["generated"]))
        ceiling = probe.score(_flat(arrays["x_test"]), arrays["y_test"])
        note = f"the probe is right on {ceiling:.3f} of the real images"
        return Value(float(np.mean(seen == arrays["y_test"])), len(seen), (), note)

    def chance(self, arrays: Arrays) -> float:
        """Share of the largest class."""
        return float(np.unique(arrays["y_test"], return_counts=True)[1].max() / len(arrays["y_test"]))


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float64)
