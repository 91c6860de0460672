"""A real table that ships with scikit-learn, discretised in part: continuous and categorical columns. No download."""

from functools import cache
from typing import ClassVar

import numpy as np
from sklearn.datasets import load_breast_cancer

from paramrel.data._base import Column, DataSet, Labelled, Split, hashed_split

MEASURES = (
    "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points", "symmetry",
    "fractal dimension",
)  # fmt: skip
CLASSES = (2, 3, 5)


class BreastCancerMixed(DataSet):
    """569 biopsies; ten measures of the cell nuclei of each, as mean, standard error and worst value.

    Means and worst values (20 columns) stay continuous: standardised by the training rows, rounded to 1/30 standard
    deviation, within 4 of them (28 of 11,380 values lie beyond and go to the ends). The standard errors, whose
    distributions have the longest tails, are cut at quantiles of the training rows into 2, 3, 5, 2, ... classes of
    about equal size.
    """

    name = "breast_cancer_mixed"
    title = "breast cancer (mixed table)"
    source = (
        "scikit-learn load_breast_cancer; W. N. Street, W. H. Wolberg, O. L. Mangasarian: Breast Cancer Wisconsin "
        "(Diagnostic), UCI, 1995"
    )
    licence = "CC BY 4.0"
    shape = (30, 1, 1)
    levels = 240
    bins = 241
    kind = "mixed"
    columns = (
        *(Column(f"mean {name}") for name in MEASURES),
        *(Column(f"{name} error", CLASSES[i % len(CLASSES)]) for i, name in enumerate(MEASURES)),
        *(Column(f"worst {name}") for name in MEASURES),
    )
    class_names = ("malignant", "benign")
    probe_on = "all"
    # Why all: there is no official split, and a fifth of 569 rows is 119. Training never sees a label and the probe's
    # folds are held out; likelihood and latent usage use the held-out rows only.
    test_fraction: ClassVar[float] = 0.2

    def load(self, split: Split) -> Labelled:
        stored, labels, test = _table(self.columns, self.levels, self.test_fraction)
        mine = test == (split == "test")
        return Labelled(stored[mine][:, :, None, None], labels[mine])


@cache
def _table(columns: tuple[Column, ...], levels: int, test_fraction: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """uint8 (569, 30), labels (569,) int64, and which rows are for testing."""
    bunch = load_breast_cancer()
    if tuple(bunch.feature_names) != tuple(column.name for column in columns):
        raise TypeError(f"this scikit-learn orders the columns otherwise: {', '.join(bunch.feature_names)}")
    test = hashed_split("breast_cancer", len(bunch.target), test_fraction)
    train = bunch.data[~test]
    stored = np.empty(bunch.data.shape, np.uint8)
    for j, column in enumerate(columns):
        if column.n_classes is None:
            z = (bunch.data[:, j] - train[:, j].mean()) / train[:, j].std()
            stored[:, j] = np.clip(np.rint(levels / 2 + levels / 8 * z), 0, levels)
        else:
            cuts = np.quantile(train[:, j], np.arange(1, column.n_classes) / column.n_classes)
            stored[:, j] = np.searchsorted(cuts, bunch.data[:, j], side="right") * (levels // (column.n_classes - 1))
    stored.setflags(write=False)
    return stored, bunch.target.astype(np.int64), test
