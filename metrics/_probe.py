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

from metrics._labels import varying
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


def classifier(kind: Classifier, seed: int) -> ClassifierMixin:
    """Standardisation, then logistic regression, the 5 nearest neighbours, or a forest of 100 trees."""
    if kind == "knn":
        return make_pipeline(StandardScaler(), KNeighborsClassifier(5))
    if kind == "forest":
        return make_pipeline(StandardScaler(), RandomForestClassifier(100, random_state=seed))
    return linear_probe()


def probe(z: np.ndarray, labels: np.ndarray, seed: int, kind: Classifier = "logistic", folds: str = "stratified") -> Probed:  # fmt: skip
    """5-fold cross-validation of a probe: (N, d) codes, (N,) labels. The scaler is fitted inside each fold.

    AUROC: of the positive class for two classes, else macro one-vs-rest. Raises ``UserError`` where a class has
    fewer members than there are folds, or a fold lacks a class (plain folds of a rare one).
    """
    counts = np.unique(labels, return_counts=True)[1]
    if counts.min() < N_FOLDS:
        raise UserError(
            f"a class has {counts.min()} of {len(labels)} items, fewer than the {N_FOLDS} folds: "
            "give more items or drop that class"
        )
    splitter = {"stratified": StratifiedKFold, "plain": KFold}[folds](N_FOLDS, shuffle=True, random_state=seed)
    scores = Parallel()(delayed(_fold)(z, labels, train, test, kind, seed) for train, test in splitter.split(z, labels))
    return Probed(tuple(auroc for auroc, _ in scores), tuple(accuracy for _, accuracy in scores))


def _fold(z: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray, kind: Classifier, seed: int) -> tuple[float, float]:  # fmt: skip
    """(AUROC, accuracy) of one fold."""
    n_classes = len(np.unique(labels))
    if min(len(np.unique(labels[train])), len(np.unique(labels[test]))) < n_classes:
        raise UserError("a fold lacks a class: use stratified folds, give more items or drop that class")
    model = classifier(kind, seed).fit(z[train], labels[train])
    p = model.predict_proba(z[test])
    auroc = (
        roc_auc_score(labels[test], p[:, 1])
        if n_classes == 2
        else roc_auc_score(labels[test], p, multi_class="ovr", labels=model.classes_)
    )
    return float(auroc), float(np.mean(model.classes_[p.argmax(1)] == labels[test]))


@shared
def probe_all(z: np.ndarray, y: np.ndarray, seed: int, kind: Classifier, folds: str) -> list[Probed]:
    """Every column of y that is not constant. Raises ``UserError`` if all are.

    AUROC and accuracy of the same codes come from the same fits.
    """
    y = y[:, None] if y.ndim == 1 else y
    if not len(varying(y)):
        raise UserError("every label column is constant: there is nothing to predict")
    return [probe(z, y[:, column], seed, kind, folds) for column in varying(y)]


def fold_means(scores: list[tuple[float, ...]]) -> tuple[float, ...]:
    """Mean over label columns, per fold."""
    return tuple(float(value) for value in np.mean(scores, axis=0))
