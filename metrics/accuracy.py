"""Accuracy of a linear probe."""

import numpy as np

from metrics._base import Arrays, Metric, Value
from metrics._probe import columns, fold_means, probe_all


class Accuracy(Metric):
    """Mean over 5 stratified folds of the held-out accuracy of a logistic regression on standardised codes.

    Averaged over the columns of y. The same fits as ``auroc``.
    """

    name = "accuracy"
    version = 1
    title = "accuracy"
    direction = "higher"
    range = (0.0, 1.0)
    needs = ("z", "y")
    source = "arXiv 2306.08757 ('latent quality'), with stratified folds"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        probed, note = probe_all(arrays["z"], arrays["y"], seed)
        folds = fold_means([p.accuracy for p in probed])
        return Value(float(np.mean(folds)), len(arrays["z"]), folds, note)

    def chance(self, arrays: Arrays) -> float:
        """Share of the largest class, averaged over the columns that vary."""
        counts = [np.unique(column, return_counts=True)[1] for column in columns(arrays["y"]).T]
        return float(np.mean([count.max() / count.sum() for count in counts if len(count) > 1]))
