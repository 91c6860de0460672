"""Probes: classifiers that read labels from codes, cross-validated."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metrics._base import Value
from metrics._cache import Named, in_memory, on_disk
from metrics._codes import in_own_units
from metrics._labels import check_discrete, columns, constant_note, joined, varying
from paramrel.errors import Unsupported, UserError
from paramrel.settings import Frozen

N_FOLDS = 5

Classifier = Literal["logistic", "knn", "forest"]


class ProbeConfig(Frozen):
    """Options of AUROC and accuracy."""

    folds: Literal["stratified", "plain"] = "stratified"
    """plain: folds without regard to classes, as the official InfoDiffusion evaluation has them."""


@dataclass(frozen=True)
class Probed:
    """Held-out scores of one label column: ``auroc`` and ``accuracy`` per fold, and how many fits did not converge."""

    auroc: tuple[float, ...]
    accuracy: tuple[float, ...]
    n_unconverged: int


def linear_probe() -> ClassifierMixin:
    """Standardisation and logistic regression (L2, C = 1), as the official InfoDiffusion evaluation has it."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def fit(model: ClassifierMixin, x: np.ndarray, y: np.ndarray) -> bool:
    """Fit ``model`` in place; False if the solver says that it did not converge. Other warnings pass."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(x, y)
    for one in caught:
        if not issubclass(one.category, ConvergenceWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return not any(issubclass(one.category, ConvergenceWarning) for one in caught)


@on_disk
def fitted_line(x: np.ndarray, y: np.ndarray) -> Named:
    """``linear_probe`` fitted to all of x (N, d) and y (N,) 0..c-1, as arrays.

    ``mean``, ``scale`` (d,), ``coef`` (c or 1, d), ``intercept`` (c or 1,), and whether it ``converged``.
    """
    model = linear_probe()
    converged = fit(model, x, y)
    scaler, line = model[0], model[-1]
    return {
        "mean": scaler.mean_,
        "scale": scaler.scale_,
        "coef": line.coef_,
        "intercept": line.intercept_,
        "converged": np.array(converged),
    }


def line_scores(line: Named, x: np.ndarray) -> np.ndarray:
    """Scores of a fitted line, the logits of x (N, d): (N,) of the larger of two classes, else (N, c)."""
    scores = (x - line["mean"]) / line["scale"] @ line["coef"].T + line["intercept"]
    return scores.ravel() if scores.shape[1] == 1 else scores


def line_classes(scores: np.ndarray) -> np.ndarray:
    """The class 0..c-1 with the largest of ``line_scores``: (N,)."""
    return (scores > 0).astype(np.int64) if scores.ndim == 1 else scores.argmax(1)


def classifier(kind: Classifier, seed: int) -> ClassifierMixin:
    """Standardisation, then logistic regression, the 5 nearest neighbours, or a forest of 100 trees."""
    if kind == "knn":
        return make_pipeline(StandardScaler(), KNeighborsClassifier(5))
    if kind == "forest":
        return make_pipeline(StandardScaler(), RandomForestClassifier(100, random_state=seed))
    return linear_probe()


def usable(y: np.ndarray) -> tuple[list[int], str]:
    """Columns of y (N, k) that can be cross-validated, and a note on the others.

    Left out: constant columns, and those with a class of fewer members than there are folds. Raises ``Unsupported``
    where nothing varies, and ``UserError`` where all that varies is too rare or no class.
    """
    if not len(varying(y)):
        raise Unsupported("every label column is constant: there is nothing to predict")
    rare = {int(column): reason for column in varying(y) if (reason := _rare(y[:, column], column))}
    kept = [int(column) for column in varying(y) if column not in rare]
    if not kept:
        raise UserError(f"{next(iter(rare.values()))}: give more items, or drop that class or column")
    left_out = [f"{reason}: left out" for reason in rare.values()]
    more = f"and {len(rare) - 3} more such columns" if len(rare) > 3 else ""
    return kept, joined(constant_note(y), *left_out[:3], more)


def _rare(labels: np.ndarray, column: int) -> str:
    """Which class of a column is too rare for the folds, or nothing."""
    check_discrete(labels, column)
    values, counts = np.unique(labels, return_counts=True)
    if counts.min() >= N_FOLDS:
        return ""
    found = f"class {values[counts.argmin()]} has {counts.min()} of {len(labels)} items"
    return f"label column {column}: {found}, fewer than the {N_FOLDS} folds"


@in_memory
def probe_all(
    z: np.ndarray, y: np.ndarray, seed: int, kind: Classifier, folds: str
) -> tuple[list[Probed], list[int], str]:
    """5-fold cross-validation of a probe of every ``usable`` column of y: (N, d) codes, (N,) or (N, k) labels.

    The scaler is fitted inside each fold. AUROC: of the larger label for two classes, else macro one-vs-rest. AUROC
    and accuracy of the same codes come from the same fits. Returns scores, their columns, and a note. Raises
    ``UserError`` where no column is usable, or a fold lacks a class (plain folds of a rare one).
    """
    y, z = columns(y), in_own_units(z)
    kept, note = usable(y)
    labels = [np.unique(y[:, column], return_inverse=True)[1] for column in kept]
    splits = [_splits(one, column, seed, folds) for one, column in zip(labels, kept, strict=True)]
    tasks = [(one, *split) for one, its in zip(labels, splits, strict=True) for split in its]
    scores = Parallel()(delayed(_fold)(z, *task, kind, seed) for task in tasks)
    parts = [list(zip(*scores[i : i + N_FOLDS], strict=True)) for i in range(0, len(scores), N_FOLDS)]
    probed = [Probed(auroc, accuracy, sum(not one for one in converged)) for auroc, accuracy, converged in parts]
    n = sum(one.n_unconverged for one in probed)
    return probed, kept, joined(note, f"{n} of {len(tasks)} probe fits did not converge" if n else "")


def probed_value(
    z: np.ndarray, y: np.ndarray, seed: int, kind: Classifier, folds: str, score: Literal["auroc", "accuracy"]
) -> Value:
    """Mean over labels and folds of one of the scores.

    In ``extra`` the mean of each label that is measured, and which columns of y these are.
    """
    probed, kept, note = probe_all(z, y, seed, kind, folds)
    scores = [getattr(one, score) for one in probed]
    means = fold_means(scores)
    extra = {"per_label": [float(np.mean(one)) for one in scores], "labels": kept}
    return Value(float(np.mean(means)), len(z), means, note, extra)


def _splits(labels: np.ndarray, column: int, seed: int, folds: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """(train, test) indices. Raises ``UserError`` unless every part has every class."""
    splitter = {"stratified": StratifiedKFold, "plain": KFold}[folds](N_FOLDS, shuffle=True, random_state=seed)
    splits = list(splitter.split(labels, labels))
    if any(len(np.unique(labels[part])) <= labels.max() for split in splits for part in split):
        raise UserError(
            f"label column {column}: a fold lacks a class: use stratified folds, give more items or drop that class"
        )
    return splits


def _fold(
    z: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray, kind: Classifier, seed: int
) -> tuple[float, float, bool]:
    """(AUROC, accuracy, whether the fit converged) of one fold; labels 0..c-1."""
    model = classifier(kind, seed)
    converged = fit(model, z[train], labels[train])
    p = model.predict_proba(z[test])
    scores = p[:, 1] if p.shape[1] == 2 else p
    auroc = roc_auc_score(labels[test], scores, multi_class="ovr")
    return float(auroc), float(np.mean(p.argmax(1) == labels[test])), converged


def fold_means(scores: list[tuple[float, ...]]) -> tuple[float, ...]:
    """Mean over label columns, per fold."""
    return tuple(float(value) for value in np.mean(scores, axis=0))
