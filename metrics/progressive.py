"""Progressive codes z_s along the flow: AUROC, accuracy, DCI and TAD as curves over flow time s."""

from typing import ClassVar

import numpy as np

from metrics._base import Arrays, Metric, Value
from metrics.accuracy import Accuracy
from metrics.auroc import Auroc
from metrics.dci import Dci
from metrics.tad import TotalAurocDifference


class Progressive(Metric):
    """Mean over the grid of s of a metric of z_s; ``extra`` holds the curve.

    ``progressive_z`` (S, N, d) are the codes of the images behind y at the flow times ``progressive_s`` (S,) in
    (0, 1]. The value is the mean, never the best: choosing s by test labels would be a fit to them.
    """

    of: ClassVar[type[Metric]]
    direction = "higher"
    needs = ("progressive_z", "progressive_s")
    source = "arXiv 2405.15268 section 3 (the series {z_t}); as a curve: ours"

    def __init_subclass__(cls) -> None:
        cls.Config, cls.version, cls.range, cls.labels = cls.of.Config, cls.of.version, cls.of.range, cls.of.labels
        cls.title = f"{cls.of.title} of z_s, mean over s"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        metric = self.of(self.config)
        labels = {name: array for name, array in arrays.items() if name in self.labels}
        at = [metric({"z": z} | labels, seed) for z in arrays["progressive_z"]]
        values = [value.value for value in at]
        s = [float(time) for time in arrays["progressive_s"]]
        return Value(float(np.mean(values)), at[0].n, (), at[0].note, {"s": s, "curve": values})

    def chance(self, arrays: Arrays) -> float | None:
        return self.of(self.config).chance(arrays)


class AurocProgressive(Progressive):
    """AUROC of z_s, mean over s."""

    of = Auroc
    name = "auroc_progressive"
    places = {"progressive": 20, "ablations": 80}
    digits = 4
    family = "probe"


class AccuracyProgressive(Progressive):
    """Accuracy of z_s, mean over s."""

    of = Accuracy
    name = "accuracy_progressive"
    places = {"progressive": 40}
    family = "probe"


class DciProgressive(Progressive):
    """D of z_s, mean over s. It has options of its own, since it costs as much as ``dci`` at every s."""

    of = Dci
    name = "dci_progressive"
    places = {"disentanglement": 90}


class TadProgressive(Progressive):
    """TAD of z_s, mean over s."""

    of = TotalAurocDifference
    name = "tad_progressive"
    places = {"disentanglement": 100}
    family = "tad"
