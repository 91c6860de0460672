"""Accuracy of probes."""

from typing import ClassVar

import numpy as np

from metrics._base import Arrays, Metric, Value
from metrics._labels import columns
from metrics._probe import Classifier, ProbeConfig, probed_value, usable


class Accuracy(Metric[ProbeConfig]):
    """Mean over 5 stratified folds of the held-out accuracy of a logistic regression on standardised codes.

    Averaged over the columns of y. The same fits as ``auroc``.
    """

    Config = ProbeConfig
    name = "accuracy"
    family = "probe"
    version = 1
    title = "accuracy"
    places = {"progressive": 30, "ablations": 30, "statistics": 20, "headline": 20}
    direction = "higher"
    range = (0.0, 1.0)
    needs = ("z", "y")
    labels = ("y",)
    source = "arXiv 2306.08757 ('latent quality'), with stratified folds"
    kind: ClassVar[Classifier] = "logistic"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        return probed_value(arrays["z"], arrays["y"], seed, self.kind, self.config.folds, "accuracy")

    def chance(self, arrays: Arrays) -> float:
        """Share of the largest class, averaged over the columns that are measured."""
        y = columns(np.asarray(arrays["y"]))
        counts = [np.unique(y[:, column], return_counts=True)[1] for column in usable(y)[0]]
        return float(np.mean([count.max() / count.sum() for count in counts]))


class AccuracyKnn(Accuracy):
    """The same of the 5 nearest neighbours."""

    name = "accuracy_knn"
    title = "accuracy (k-NN)"
    places = {}
    kind = "knn"
    by_default = False


class AccuracyForest(Accuracy):
    """The same of a random forest of 100 trees."""

    name = "accuracy_forest"
    title = "accuracy (forest)"
    places = {}
    kind = "forest"
    by_default = False
