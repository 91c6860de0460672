"""AUROC of probes."""

from typing import ClassVar

from metrics._base import Arrays, Metric, Value
from metrics._probe import Classifier, ProbeConfig, probed_value


class Auroc(Metric[ProbeConfig]):
    """Mean over 5 stratified folds of the held-out AUROC of a logistic regression on standardised codes.

    Two classes or attributes: AUROC, averaged over the columns of y. More classes: macro one-vs-rest. (The
    paper's Table 2 prints accuracies of another data set under this name for the baselines.)
    """

    Config = ProbeConfig
    name = "auroc"
    family = "probe"
    version = 1
    title = "AUROC"
    places = {"progressive": 10, "ablations": 10, "statistics": 10, "headline": 10}
    digits = 4
    direction = "higher"
    range = (0.0, 1.0)
    needs = ("z", "y")
    labels = ("y",)
    source = "arXiv 2405.15268 section 5.1.1; protocol of arXiv 2306.08757 with stratified folds"
    kind: ClassVar[Classifier] = "logistic"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        return probed_value(arrays[self.needs[0]], arrays["y"], seed, self.kind, self.config.folds, "auroc")

    def chance(self, arrays: Arrays) -> float:
        return 0.5


class AurocKnn(Auroc):
    """The same of the 5 nearest neighbours."""

    name = "auroc_knn"
    title = "AUROC (k-NN)"
    places = {}
    kind = "knn"
    by_default = False


class AurocForest(Auroc):
    """The same of a random forest of 100 trees."""

    name = "auroc_forest"
    title = "AUROC (forest)"
    places = {}
    kind = "forest"
    by_default = False
