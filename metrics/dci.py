"""DCI: disentanglement, completeness and informativeness, from gradient-boosted trees."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from pydantic import Field
from scipy.stats import entropy
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from metrics._base import Arrays, Metric, Value
from metrics._cache import in_memory
from metrics._codes import in_own_units
from metrics._labels import by_appearance, check_discrete, columns, constant_note, varying
from paramrel.errors import Unsupported, UserError
from paramrel.settings import Frozen

N_FOLDS = 5
CONSTANT = 1e-7
"""Standardised latents of a smaller range (max - min) are never cut by scikit-learn's trees."""
TINY = 1e-11
"""Added to importances before entropies are taken, as disentanglement_lib does."""


class DciConfig(Frozen):
    """Options of DCI. The defaults are the definition; less is cheaper and is said in the row's note."""

    n_trees: int = Field(100, ge=1)
    """Boosting stages per factor (each of one tree per class)."""
    n_folds: int = Field(5, ge=1, le=N_FOLDS)
    """How many of the 5 folds are fitted; 1 is a single split of 80 / 20."""
    n_items: int | None = Field(None, ge=10)
    """At most so many codes, drawn without replacement; all if none."""
    max_latents: int | None = Field(512, ge=1)
    """Codes with more latents are not measured (hours; raw pixels are the case)."""


@dataclass(frozen=True)
class Fitted:
    """One split: importances (d, k), every column summing to 1 or 0, and mean accuracies over factors."""

    importance: np.ndarray
    train_accuracy: float
    test_accuracy: float


def disentanglement_per_code(importance: np.ndarray) -> np.ndarray:
    """d_i = 1 - H_k(R_i.), the entropy of code i's importances over the k factors, log base k. (d, k) to (d,).

    Raises ``Unsupported`` for one factor, of which no entropy can be taken.
    """
    if importance.shape[1] < 2:
        raise Unsupported("disentanglement needs at least two factors")
    return 1 - entropy(importance.T + TINY, base=importance.shape[1])


def disentanglement(importance: np.ndarray) -> float:
    """D = sum_i rho_i d_i, rho_i code i's share of all importance. (d, k), k >= 2. Equation (2) of Eastwood &
    Williams, in disentanglement_lib's form. 0 where nothing has any importance."""
    return _weighted(disentanglement_per_code(importance), importance.sum(1))


def completeness_per_factor(importance: np.ndarray) -> np.ndarray:
    """c_j = 1 - H_d(R_.j), the entropy of factor j's importances over the d codes, log base d. (d, k) to (k,).

    Raises ``Unsupported`` for one code.
    """
    if importance.shape[0] < 2:
        raise Unsupported("completeness needs at least two latents")
    return 1 - entropy(importance + TINY, base=importance.shape[0])


def completeness(importance: np.ndarray) -> float:
    """C = sum_j w_j c_j, w_j factor j's share of all importance. (d, k), d >= 2."""
    return _weighted(completeness_per_factor(importance), importance.sum(0))


def _weighted(scores: np.ndarray, weights: np.ndarray) -> float:
    if weights.sum() == 0:
        return 0.0
    return min(max(float(np.average(scores, weights=weights)), 0.0), 1.0)  # rounding takes uniform ones below 0


def fit(
    z: np.ndarray, y: np.ndarray, splits: Sequence[tuple[np.ndarray, np.ndarray]], n_trees: int, seed: int
) -> list[Fitted]:
    """Boosted trees of every factor on every split, side by side on the cores of ``joblib.parallel_config``.

    (N, d) codes, (N, k) factors of any integer names, splits as (train, test) indices. Trees of depth 3, learning
    rate .1, ``n_trees`` stages: scikit-learn's defaults, as in disentanglement_lib, which leaves the seed open.
    """
    factors = np.stack([by_appearance(column) for column in y.T], 1)
    prepared = [_canonical(z, train) for train, _ in splits]
    tasks = [(i, j) for i in range(len(splits)) for j in range(y.shape[1])]
    tasks.sort(key=lambda task: -factors[:, task[1]].max())  # the dearest first, so that no core waits for it
    results = Parallel(batch_size=1)(
        delayed(_fit_factor)(prepared[i][0], factors[:, j], *splits[i], n_trees, seed) for i, j in tasks
    )
    found = dict(zip(tasks, results, strict=True))
    fitted = []
    for i in range(len(splits)):
        scores = [found[i, j] for j in range(y.shape[1])]
        importance = np.zeros((z.shape[1], y.shape[1]))
        importance[prepared[i][1]] = np.stack([score[0] for score in scores], 1)
        fitted.append(Fitted(importance, *(float(np.mean([score[part] for score in scores])) for part in (1, 2))))
    return fitted


def _canonical(z: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes that do not depend on scale, sign and order of latents, float32, and the order: columns of z.

    Trees break ties by the order and number of columns and cut float32 values apart only above 1e-7, so without this a
    permuted, flipped, rescaled or constant latent would give another forest. Latents that are constant in the training
    part are left out.
    """
    z = in_own_units(z.astype(np.float64))
    standard = StandardScaler().fit(z[train]).transform(z)
    largest = np.abs(standard).round(6).argmax(0)  # rounded: a latent of two values may be as large on both sides
    first = np.take_along_axis(standard, largest[None], 0)
    standard = (standard * np.where(first < 0, -1.0, 1.0)).astype(np.float32)
    order = np.lexsort(standard[::-1])
    order = order[np.ptp(standard[train][:, order], 0) > CONSTANT]
    return standard[:, order], order


def _fit_factor(
    z: np.ndarray, factor: np.ndarray, train: np.ndarray, test: np.ndarray, n_trees: int, seed: int
) -> tuple[np.ndarray, float, float]:
    """(importances (d,), accuracy on the training part, on the test part) of one factor."""
    largest = np.bincount(factor[train]).argmax()
    if z.shape[1] == 0 or (factor[train] == largest).all():  # nothing can be learned
        seen, held_out = (float(np.mean(factor[part] == largest)) for part in (train, test))
        return np.zeros(z.shape[1]), seen, held_out
    model = GradientBoostingClassifier(n_estimators=n_trees, random_state=seed).fit(z[train], factor[train])
    seen, held_out = (float(np.mean(model.predict(z[part]) == factor[part])) for part in (train, test))
    return np.abs(model.feature_importances_), seen, held_out


@in_memory
def dci(z: np.ndarray, y: np.ndarray, seed: int, config: DciConfig) -> tuple[list[Fitted], str, np.ndarray]:
    """Fits of the folds (plain, shuffled by ``seed``, as the official InfoDiffusion evaluation has them), a note, and
    which columns of y are the factors: those that vary among the items that take part.

    Raises ``Unsupported`` with fewer than two factors that vary, or too many latents; ``UserError`` for N < 10.
    """
    y = columns(y)
    if config.max_latents is not None and z.shape[1] > config.max_latents:
        raise Unsupported(
            f"z has {z.shape[1]} latents, more than the option dci.max_latents = {config.max_latents}: it would take "
            f"hours"
        )
    if len(z) < 2 * N_FOLDS:
        raise UserError(f"DCI needs at least {2 * N_FOLDS} items, got {len(z)}: give more codes")
    if config.n_items is not None and len(z) > config.n_items:
        chosen = np.sort(np.random.default_rng([seed, len(z)]).permutation(len(z))[: config.n_items])
        z, y = z[chosen], y[chosen]
    for column in varying(y):
        check_discrete(y[:, column], column)
    note, kept = constant_note(y), varying(y)
    y = y[:, kept]
    if y.shape[1] < 2:
        raise Unsupported(f"DCI needs at least two factors that vary, y has {y.shape[1]}")
    splits = list(KFold(N_FOLDS, shuffle=True, random_state=seed).split(z))[: config.n_folds]
    return fit(z, y, splits, config.n_trees, seed), note, kept


class Dci(Metric[DciConfig]):
    """D of DCI, which tables call DCI: is each latent important for one factor only?

    Gradient-boosted trees predict each factor from the codes; D weighs the entropies of the latents' importances.
    Mean over the training parts of 5 folds. The columns of y are the factors; one column of classes has no D.
    """

    Config = DciConfig
    name = "dci"
    family = "dci"
    version = 2
    title = "DCI (D)"
    places = {"disentanglement": 10, "ablations": 130, "statistics": 50, "headline": 60}
    direction = "higher"
    range = (0.0, 1.0)
    needs = ("z", "y")
    labels = ("y",)
    optional = ("y_names",)
    source = (
        "C. Eastwood, C. Williams, ICLR 2018, in disentanglement_lib's form (arXiv 1811.12359); folds of 2306.08757"
    )

    def compute(self, arrays: Arrays, seed: int) -> Value:
        z, y = arrays["z"], arrays["y"]
        fitted, note, kept = dci(z, y, seed, self.config)
        folds = tuple(self.score(split) for split in fitted)
        n = min(len(z), self.config.n_items or len(z))
        names = arrays["y_names"].ravel() if "y_names" in arrays else [f"y[{j}]" for j in range(columns(y).shape[1])]
        factors = {"factors": [str(names[j]) for j in kept]}
        return Value(float(np.mean(folds)), n, folds, note, self.extra(fitted) | factors)

    def score(self, split: Fitted) -> float:
        return disentanglement(split.importance)

    def extra(self, fitted: list[Fitted]) -> dict:
        """The importance matrix (d, k), mean over folds, and d_i."""
        mean = np.mean([split.importance for split in fitted], 0)
        return {"importance": mean.tolist(), "per_code": disentanglement_per_code(mean).tolist()}


class DciCompleteness(Dci):
    """C of DCI: is each factor captured by one latent only? From the same fits as ``dci``."""

    name = "dci_completeness"
    title = "DCI (C)"
    places = {"disentanglement": 20}

    def score(self, split: Fitted) -> float:
        return completeness(split.importance)

    def extra(self, fitted: list[Fitted]) -> dict:
        mean = np.mean([split.importance for split in fitted], 0)
        return {"per_factor": completeness_per_factor(mean).tolist()}


class DciInformativeness(Dci):
    """I of DCI: accuracy of the same trees on the held-out fifth, mean over factors. Higher is better here (the
    original prints an error)."""

    name = "dci_informativeness"
    title = "DCI (I)"
    places = {"disentanglement": 30}

    def score(self, split: Fitted) -> float:
        return split.test_accuracy

    def extra(self, fitted: list[Fitted]) -> dict:
        return {"train_accuracy": float(np.mean([split.train_accuracy for split in fitted]))}
