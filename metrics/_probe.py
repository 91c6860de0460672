"""Probes: classifiers that read labels from codes, cross-validated."""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from paramrel.errors import UserError

N_FOLDS = 5


@dataclass(frozen=True)
class Probed:
    """Held-out scores of one label column: ``auroc`` and ``accuracy`` per fold."""

    auroc: tuple[float, ...]
    accuracy: tuple[float, ...]


def linear_probe():
    """Standardisation and logistic regression (L2, C = 1), as the official InfoDiffusion evaluation has it."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def columns(y: np.ndarray) -> np.ndarray:
    """Labels as (N, k): a vector becomes one column."""
    return y[:, None] if y.ndim == 1 else y


def probe(z: np.ndarray, labels: np.ndarray, seed: int) -> Probed:
    """5-fold stratified cross-validation of the linear probe: (N, d) codes, (N,) labels.

    The scaler is fitted inside each fold. AUROC: of the positive class for two classes, else macro one-vs-rest.
    Raises ``UserError`` where a class has fewer members than there are folds.
    """
    counts = np.unique(labels, return_counts=True)[1]
    if counts.min() < N_FOLDS:
        raise UserError(
            f"a class has {counts.min()} of {len(labels)} items, fewer than the {N_FOLDS} folds: "
            "give more items or drop that class"
        )
    aurocs, accuracies = [], []
    for train, test in StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(z, labels):
        model = linear_probe().fit(z[train], labels[train])
        probabilities = model.predict_proba(z[test])
        if len(counts) == 2:
            aurocs.append(roc_auc_score(labels[test], probabilities[:, 1]))
        else:
            aurocs.append(roc_auc_score(labels[test], probabilities, multi_class="ovr", labels=model.classes_))
        accuracies.append(np.mean(model.classes_[probabilities.argmax(1)] == labels[test]))
    return Probed(tuple(map(float, aurocs)), tuple(map(float, accuracies)))


_last: tuple[tuple[int, int, int], tuple[np.ndarray, np.ndarray], tuple[list[Probed], str]] | None = None


def probe_all(z: np.ndarray, y: np.ndarray, seed: int) -> tuple[list[Probed], str]:
    """Every column of y that is not constant, and a note on those that are.

    The last result is kept: AUROC and accuracy of the same codes come from the same fits.
    """
    global _last
    key = (id(z), id(y), seed)
    if _last is not None and _last[0] == key:
        return _last[2]
    if z.ndim != 2 or len(z) != len(y):
        raise UserError(f"z must be (N, d) and y (N,) or (N, k) with the same N; got {z.shape} and {y.shape}")
    varying = [column for column in columns(y).T if len(np.unique(column)) > 1]
    if not varying:
        raise UserError("every label column is constant: there is nothing to predict")
    n_constant = columns(y).shape[1] - len(varying)
    note = f"{n_constant} constant label column(s) left out" if n_constant else ""
    result = [probe(z, column, seed) for column in varying], note
    _last = (key, (z, y), result)  # the arrays are kept alive so that their ids stay theirs
    return result


def fold_means(scores: list[tuple[float, ...]]) -> tuple[float, ...]:
    """Mean over label columns, per fold."""
    return tuple(float(value) for value in np.mean(scores, axis=0))
