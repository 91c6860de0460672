"""Progressive codes z_s along the flow: AUROC, accuracy and DCI as curves over flow time s."""

import numpy as np

from metrics._base import Arrays, Metric, Value
from metrics._shared import shared
from metrics.accuracy import Accuracy
from metrics.auroc import Auroc
from metrics.dci import Dci
from paramrel.errors import UserError


class Progressive(Metric):
    """Mean over the grid of s of a metric of z_s; ``extra`` holds the curve.

    ``progressive_z`` (S, N, d) are the codes of the images behind y at the flow times ``progressive_s`` (S,) in
    (0, 1]. The value is the mean, never the best: choosing s by test labels would be a fit to them.
    """

    of: type[Metric]
    direction = "higher"
    range = (0.0, 1.0)
    needs = ("progressive_z", "progressive_s", "y")
    labels = ("y",)
    source = "arXiv 2405.15268 section 3 (the series {z_t}); as a curve: ours"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        metric = self.of(self.config)
        at = [metric(point, seed) for point in points(arrays)]
        values = [value.value for value in at]
        s = [float(time) for time in arrays["progressive_s"]]
        return Value(float(np.mean(values)), at[0].n, (), at[0].note, {"s": s, "curve": values})

    def chance(self, arrays: Arrays) -> float | None:
        return self.of(self.config).chance(arrays)


class AurocProgressive(Progressive):
    """AUROC of z_s, mean over s."""

    of = Auroc
    Config = Auroc.Config
    name = "auroc_progressive"
    family = "probe"
    version = Auroc.version
    title = "AUROC of z_s, mean over s"


class AccuracyProgressive(Progressive):
    """Accuracy of z_s, mean over s."""

    of = Accuracy
    Config = Accuracy.Config
    name = "accuracy_progressive"
    family = "probe"
    version = Accuracy.version
    title = "accuracy of z_s, mean over s"


class DciProgressive(Progressive):
    """D of z_s, mean over s. It has options of its own, since it costs as much as ``dci`` at every s."""

    of = Dci
    Config = Dci.Config
    name = "dci_progressive"
    version = Dci.version
    title = "DCI (D) of z_s, mean over s"


def points(arrays: Arrays) -> list[dict[str, np.ndarray]]:
    """z and y at every s. Raises ``UserError`` for shapes that do not match."""
    z, s = arrays["progressive_z"], arrays["progressive_s"]
    if z.ndim != 3 or s.shape != z.shape[:1] or z.shape[1] != len(arrays["y"]):
        raise UserError(
            "progressive_z must be (S, N, d), progressive_s (S,) and y (N,) or (N, k); got "
            f"{z.shape}, {s.shape} and {np.shape(arrays['y'])}"
        )
    return [{"z": codes, "y": arrays["y"]} for codes in slices(z)]


@shared
def slices(z: np.ndarray) -> list[np.ndarray]:
    """z_s of every s: the same arrays for AUROC and accuracy, so that they share their fits."""
    return list(z)
