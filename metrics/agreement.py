"""Class agreement of images generated at fixed codes."""

import numpy as np

from metrics._base import Arrays, Metric, Value
from metrics._labels import check_discrete, columns
from metrics._probe import fitted, linear_probe
from paramrel.errors import UserError


class Agreement(Metric):
    """Share of images, generated from the prior with z of a source image, in which a probe sees its class.

    The probe is a logistic regression on real training images' pixels. It says whether a decoder uses z: one
    that ignores it scores chance if it always makes the largest class, and the sum of squared shares if it makes classes
    as often as the data have them. Factors and attributes: the mean over label columns. The probe's own accuracy on
    the source images bounds it; it is in the note.
    """

    name = "agreement"
    version = 1
    title = "class agreement"
    places = {"latent_usage": 60, "ablations": 40, "statistics": 30, "headline": 30}
    direction = "higher"
    range = (0.0, 1.0)
    needs = ("generated", "y_test", "probe_x", "probe_y", "x_test")
    labels = ("y_test",)
    source = "ours"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        real, generated, source = (_flat(arrays[name]) for name in ("probe_x", "generated", "x_test"))
        agreed, ceilings = [], []
        pairs = zip(columns(arrays["probe_y"]).T, columns(arrays["y_test"]).T, strict=True)
        for column, (known, wanted) in enumerate(pairs):
            classes, known = np.unique(known, return_inverse=True)
            if len(classes) > 1:
                check_discrete(known, column)
                probe = fitted(linear_probe(), real, known)
                agreed.append(np.mean(classes[probe.predict(generated)] == wanted))
                ceilings.append(np.mean(classes[probe.predict(source)] == wanted))
        if not agreed:
            raise UserError("every label column is constant: there is nothing to agree on")
        note = f"the probe is right on {np.mean(ceilings):.3f} of the real images"
        return Value(float(np.mean(agreed)), len(generated), (), note)

    def chance(self, arrays: Arrays) -> float:
        """Share of the largest class, averaged over label columns that vary."""
        varying = [len(np.unique(known)) > 1 for known in columns(arrays["probe_y"]).T]
        shares = [np.unique(y, return_counts=True)[1].max() / len(y) for y in columns(arrays["y_test"]).T[varying]]
        return float(np.mean(shares))


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float64)
