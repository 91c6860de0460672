"""AUROC of a linear probe."""

import numpy as np

from metrics._base import Arrays, Metric, Value
from metrics._probe import fold_means, probe_all


class Auroc(Metric):
    """Mean over 5 stratified folds of the held-out AUROC of a logistic regression on standardised codes.

    Two classes or attributes: AUROC, averaged over the columns of y. More classes: macro one-vs-rest. (The
    paper's Table 2 prints accuracies of another data set under this name for the baselines.)
    """

    name = "auroc"
    version = 1
    title = "AUROC"
    direction = "higher"
    range = (0.0, 1.0)
    needs = ("z", "y")
    source = "arXiv 2405.15268 section 5.1.1; protocol of arXiv 2306.08757 with stratified folds"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        probed, note = probe_all(arrays["z"], arrays["y"], seed)
        folds = fold_means([p.auroc for p in probed])
        return Value(float(np.mean(folds)), len(arrays["z"]), folds, note)

    def chance(self, arrays: Arrays) -> float:
        return 0.5
