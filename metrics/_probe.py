"""Probes: classifiers that read labels from codes, cross-validated."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metrics._base import Value
from metrics._kept import kept
from metrics._labels import check_discrete, columns, constant_note, varying
from metrics._shared import shared
from paramrel.errors import UserError
from paramrel.settings import Frozen

N_FOLDS = 5

Classifier = Literal["logistic", "knn", "forest"]


class ProbeConfig(Frozen):
    """Options of AUROC and accuracy."""

    folds: Literal["stratified", "plain"] = "stratified"
    """plain: folds without regard to classes, as the official InfoDiffusion evaluation has them."""


@dataclass(frozen=True)
class Probed:
    """Held-out scores of one label column: ``auroc`` and ``accuracy`` per fold."""

    auroc: tuple[float, ...]
    accuracy: tuple[float, ...]


def linear_probe() -> ClassifierMixin:
    """Standardisation and logistic regression (L2, C = 1), as the official InfoDiffusion evaluation has it."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


@kept
def fitted(probe: ClassifierMixin, x: np.ndarray, y: np.ndarray) -> ClassifierMixin:
    """``probe`` fitted to all of x (N, d) and y (N,)."""
    return probe.fit(x, y)


def classifier(kind: Classifier, seed: int) -> ClassifierMixin:
    """Standardisation, then logistic regression, the 5 nearest neighbours, or a forest of 100 trees."""
    if kind == "knn":
        return make_pipeline(StandardScaler(), KNeighborsClassifier(5))
    if kind == "forest":
        return make_pipeline(StandardScaler(), RandomForestClassifier(100, random_state=seed))
    return linear_probe()


@shared
def probe_all(z: np.ndarray, y: np.ndarray, seed: int, kind: Classifier, folds: str) -> list[Probed]:
    """5-fold cross-validation of a probe of every column of y that is not constant: (N, d) codes, (N,) or (N, k).

    The scaler is fitted inside each fold. AUROC: of the larger label for two classes, else macro one-vs-rest. AUROC
    and accuracy of the same codes come from the same fits. Raises ``UserError`` where every column is constant, a
    class has fewer members than there are folds, or a fold lacks a class (plain folds of a rare one).
    """
    y = columns(y)
    if not len(varying(y)):
        raise UserError("every label column is constant: there is nothing to predict")
    labels = [_checked(y[:, column], column) for column in varying(y)]
    splits = [_splits(one, column, seed, folds) for one, column in zip(labels, varying(y), strict=True)]
    tasks = [(one, *split) for one, its in zip(labels, splits, strict=True) for split in its]
    scores = Parallel()(delayed(_fold)(z, *task, kind, seed) for task in tasks)
    return [Probed(*zip(*scores[i : i + N_FOLDS], strict=True)) for i in range(0, len(scores), N_FOLDS)]


def probed_value(
    z: np.ndarray, y: np.ndarray, seed: int, kind: Classifier, folds: str, score: Literal["auroc", "accuracy"]
) -> Value:
    """Mean over labels and folds of one of the scores; in ``extra`` the mean of each label that is not constant, and which
    columns of y these are."""
    scores = [getattr(probed, score) for probed in probe_all(z, y, seed, kind, folds)]
    means = fold_means(scores)
    extra = {"per_label": [float(np.mean(one)) for one in scores], "labels": varying(columns(y)).tolist()}
    return Value(float(np.mean(means)), len(z), means, constant_note(columns(y)), extra)


def _checked(labels: np.ndarray, column: int) -> np.ndarray:
    """Classes of one label column. Raises ``UserError`` unless each has as many members as there are folds."""
    check_discrete(labels, column)
    values, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if counts.min() < N_FOLDS:
        raise UserError(
            f"label column {column}: class {values[counts.argmin()]} has {counts.min()} of {len(labels)} items, fewer "
            f"than the {N_FOLDS} folds: give more items, or drop that class or column"
        )
    return inverse


def _splits(labels: np.ndarray, column: int, seed: int, folds: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """(train, test) indices. Raises ``UserError`` unless every part has every class."""
    splitter = {"stratified": StratifiedKFold, "plain": KFold}[folds](N_FOLDS, shuffle=True, random_state=seed)
    splits = list(splitter.split(labels, labels))
    if any(len(np.unique(labels[part])) <= labels.max() for split in splits for part in split):
        raise UserError(
            f"label column {column}: a fold lacks a class: use stratified folds, give more items or drop that class"
        )
    return splits


def _fold(z: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray, kind: Classifier, seed: int) -> tuple[float, float]:  # fmt: skip
    """(AUROC, accuracy) of one fold; labels 0..c-1."""
    model = classifier(kind, seed).fit(z[train], labels[train])
    p = model.predict_proba(z[test])
    scores = p[:, 1] if p.shape[1] == 2 else p
    auroc = roc_auc_score(labels[test], scores, multi_class="ovr")
    return float(auroc), float(np.mean(p.argmax(1) == labels[test]))


def fold_means(scores: list[tuple[float, ...]]) -> tuple[float, ...]:
    """Mean over label columns, per fold."""
    return tuple(float(value) for value in np.mean(scores, axis=0))
