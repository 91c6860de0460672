"""TAD and ATTRS: which binary attributes single latents detect, and by how much the best is ahead of the next."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field
from scipy.stats import rankdata
from sklearn.model_selection import KFold

from metrics._base import Arrays, Metric, Value
from metrics._cache import in_memory
from metrics._labels import columns
from paramrel.errors import Unsupported, UserError
from paramrel.settings import Frozen

N_FOLDS = 5
GRID = np.arange(101, dtype=np.float32) * np.float32(0.01)
MIN_RANGE = 0.2
"""nashae: a latent of a smaller range (max - min) is not looked at."""
ROUNDING = 1e-12
"""By how much an AUROC that is the threshold may come out below it."""

Mode = Literal["exact", "nashae"]


class TadConfig(Frozen):
    """Options of TAD and ATTRS. The defaults are the definition."""

    min_auroc: float = Field(0.75, ge=0.5, le=1)
    """An attribute is captured from this AUROC of its best latent on."""
    max_redundancy: float = Field(0.2, ge=0)
    """An attribute of which another one tells a larger share of its entropy is dropped."""


@dataclass(frozen=True)
class Tad:
    """TAD, ATTRS, and per attribute what decided: (A,) unless said. NaN where an attribute is constant."""

    tad: float
    attrs: int
    auroc: np.ndarray
    """(A, d)."""
    redundancy: np.ndarray
    """max_b MI(a, b) / H(a)."""
    gap: np.ndarray
    """Best minus second best AUROC."""
    captured: np.ndarray


def auroc_matrix(z: np.ndarray, attributes: np.ndarray) -> np.ndarray:
    """Exact AUROC of every latent for every attribute, the better of both signs: (N, d), (N, A) bool to (A, d).

    One rank transform of the codes and one product of matrices (Mann & Whitney): with mean ranks r of tied values,
    AUROC = (sum of r over the n1 positives - n1 (n1 + 1)/2) / (n1 n0). NaN where an attribute is constant.
    """
    ranks = rankdata(z, axis=0)
    positives = attributes.astype(np.float64)
    n_positive = positives.sum(0)[:, None]
    pairs = n_positive * (len(z) - n_positive)
    wins = positives.T @ ranks - n_positive * (n_positive + 1) / 2
    auroc = np.divide(wins, pairs, out=np.full(wins.shape, np.nan), where=pairs > 0)
    return np.maximum(auroc, 1 - auroc)


def auroc_matrix_nashae(z: np.ndarray, attributes: np.ndarray) -> np.ndarray:
    """NashAE's approximate AUROC, for comparison only: (N, d), (N, A) bool to (A, d).

    101 thresholds between the smallest and the largest code, right Riemann sum, the better of both directions, .5
    where the codes' range is at most .2; float32 as there. Biased upwards: the grid is coarse where a latent has an
    outlier, and a latent with few values gains up to .1.
    """
    z = z.astype(np.float32)
    low, high = z.min(0), z.max(0)
    n_positive = attributes.sum(0)
    counts = np.stack((len(z) - n_positive, n_positive)).astype(np.float64)
    auroc = np.full((attributes.shape[1], z.shape[1]), 0.5)
    for j in np.flatnonzero(high - low > np.float32(MIN_RANGE)):
        thresholds = GRID * (high[j] - low[j]) + low[j]
        bins = np.searchsorted(thresholds, z[:, j], side="right")  # code i is at or above thresholds[:bins[i]]
        for a, attribute in enumerate(attributes.T):
            if counts[:, a].all():
                histogram = np.stack([np.bincount(bins[attribute == value], minlength=102) for value in (0, 1)])
                below = np.cumsum(histogram, 1)[:, :-1] / counts[:, a, None]
                auroc[a, j] = max(_right_sum(below), _right_sum(1 - below[:, ::-1]))
    auroc[~counts.all(0)] = np.nan
    return auroc


def _right_sum(rates: np.ndarray) -> float:
    """Area under (false, true) positive rates, both ascending, (2, T): each step as high as its right end."""
    return float((np.diff(rates[0]) * rates[1, 1:]).sum())


def redundancy(attributes: np.ndarray) -> np.ndarray:
    """max over other attributes b of MI(a, b) / H(a): (N, A) bool to (A,). NaN for a constant a, 0 if it is alone."""
    n, a = attributes.shape
    one = attributes.astype(np.float64)
    joint = one.T @ one / n
    p = np.diag(joint)
    information = np.zeros((a, a))
    for cell, left, right in (
        (joint, p, p),
        (p[:, None] - joint, p, 1 - p),
        (p[None] - joint, 1 - p, p),
        (1 - p[:, None] - p[None] + joint, 1 - p, 1 - p),
    ):
        independent = np.outer(left, right)
        ratio = np.divide(cell, independent, out=np.ones((a, a)), where=(cell > 1 / (2 * n)) & (independent > 0))
        information += np.where(cell > 1 / (2 * n), cell * np.log(ratio), 0)
    own = np.diag(information).copy()
    np.fill_diagonal(information, 0)
    return np.divide(information.max(1), own, out=np.full(a, np.nan), where=own > 0)


def tad(z: np.ndarray, attributes: np.ndarray, mode: Mode = "exact", config: TadConfig | None = None) -> Tad:
    """TAD and ATTRS of codes (N, d) and binary attributes (N, A) bool.

    Attribute a is captured if its best latent's AUROC is at least ``min_auroc`` and no other attribute tells more
    than ``max_redundancy`` of its entropy. ATTRS = number of captured attributes, TAD = sum over them of the best
    minus the second best AUROC (a missing second latent counts 0, as in the original). Constant attributes are
    never captured.
    """
    config = config or TadConfig()
    auroc = (auroc_matrix if mode == "exact" else auroc_matrix_nashae)(z, attributes)
    ordered = np.sort(auroc, 1)
    second = ordered[:, -2] if z.shape[1] > 1 else np.zeros(len(auroc))
    gap, shares = ordered[:, -1] - second, redundancy(attributes)
    captured = (ordered[:, -1] >= config.min_auroc - ROUNDING) & (shares <= config.max_redundancy)  # False where NaN
    return Tad(float(gap[captured].sum()), int(captured.sum()), auroc, shares, gap, captured)


def binary(labels: np.ndarray, name: str) -> np.ndarray:
    """(N, A) bool from columns of at most two values (the larger is True). Raises ``Unsupported`` for more."""
    attributes = []
    for i, column in enumerate(columns(labels).T):
        values, inverse = np.unique(column, return_inverse=True)
        if len(values) > 2:
            raise Unsupported(f"column {i} of {name} has {len(values)} values: TAD and ATTRS need binary attributes")
        attributes.append(inverse.astype(bool))
    return np.stack(attributes, 1)


@in_memory
def tad_of(
    z: np.ndarray, labels: np.ndarray, name: str, mode: Mode, config: TadConfig, seed: int
) -> tuple[Tad, list[Tad]]:
    """TAD and ATTRS on all items, and on the training part of each of 5 plain folds (the official protocol)."""
    attributes = binary(labels, name)
    if len(z) < 2 * N_FOLDS:
        raise UserError(f"TAD and ATTRS need at least {2 * N_FOLDS} items, got {len(z)}: give more codes")
    parts = [train for train, _ in KFold(N_FOLDS, shuffle=True, random_state=seed).split(z)]
    return tad(z, attributes, mode, config), [tad(z[part], attributes[part], mode, config) for part in parts]


class _OfAttributes(Metric[TadConfig]):
    """What TAD and ATTRS share. Attributes: the array ``attributes`` (N, A) where it is given, else y.

    The value is over all items; the folds are the training parts of 5 plain folds, whose mean is what the official
    InfoDiffusion evaluation prints (they share 75 % of their items: their spread is no confidence interval).
    """

    Config = TadConfig
    family = "tad"
    version = 1
    direction = "higher"
    range = (0.0, float("inf"))
    needs = ("z",)
    labels = ("attributes", "y")
    optional = ("attribute_names", "y_names")
    mode: ClassVar[Mode] = "exact"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        name = "attributes" if "attributes" in arrays else "y"
        z, labels = arrays["z"], arrays[name]
        whole, parts = tad_of(z, labels, name, self.mode, self.config, seed)
        folds = tuple(self.score(part) for part in parts)
        note = f"mean over folds {np.mean(folds):.4g}; {whole.attrs} of {len(whole.auroc)} attributes captured"
        return Value(
            self.score(whole),
            len(z),
            folds,
            note,
            self.extra(whole, arrays.get("attribute_names" if name == "attributes" else "y_names")),
        )

    @abstractmethod
    def score(self, result: Tad) -> float:
        """What the metric reads from the computation."""

    def extra(self, result: Tad, names: np.ndarray | None) -> dict:
        return {}

    def chance(self, arrays: Arrays) -> float:
        return 0.0


class TotalAurocDifference(_OfAttributes):
    """TAD: sum over captured attributes of the best latent's AUROC minus the second best's.

    Exact AUROC of every latent for every attribute, without a filter on the latents' range. ``extra`` holds the
    matrix and why each attribute is captured or not: with one threshold at .75, TAD and ATTRS are step functions.
    """

    name = "tad"
    title = "TAD"
    places = {"disentanglement": 50, "ablations": 140, "statistics": 60}
    source = "E. Yeats et al., NashAE (arXiv 2209.10677), in the form of arXiv 2306.08757"

    def score(self, result: Tad) -> float:
        return result.tad

    def extra(self, result: Tad, names: np.ndarray | None) -> dict:
        """AUROC (A, d), None where an attribute is constant; per attribute its name, best latent, gap and reason."""
        shown = range(len(result.auroc)) if names is None else names.ravel()
        return {
            "auroc": [[None if np.isnan(value) else float(value) for value in row] for row in result.auroc],
            "attributes": [
                {
                    "name": str(name),
                    "captured": bool(result.captured[a]),
                    "reason": reason(result, a, self.config),
                    "best_latent": None if np.isnan(result.gap[a]) else int(result.auroc[a].argmax()),
                    "gap": None if np.isnan(result.gap[a]) else float(result.gap[a]),
                    "redundancy": None if np.isnan(result.redundancy[a]) else float(result.redundancy[a]),
                }
                for a, name in enumerate(shown)
            ],
        }


class CapturedAttributes(_OfAttributes):
    """ATTRS: how many attributes single latents detect. From the same matrix as ``tad``."""

    name = "attrs"
    title = "ATTRS"
    places = {"disentanglement": 60}
    digits = 1
    source = TotalAurocDifference.source

    def score(self, result: Tad) -> float:
        return float(result.attrs)


class TadNashae(TotalAurocDifference):
    """TAD from NashAE's grid of 101 thresholds: biased upwards, for comparison with published numbers only."""

    name = "tad_nashae"
    title = "TAD (grid)"
    places = {}
    mode = "nashae"
    by_default = False


class AttrsNashae(CapturedAttributes):
    """ATTRS from NashAE's grid, for comparison only."""

    name = "attrs_nashae"
    title = "ATTRS (grid)"
    places = {}
    mode = "nashae"
    by_default = False


def reason(result: Tad, a: int, config: TadConfig) -> str:
    """Why attribute a is not captured, or "captured"."""
    if np.isnan(result.gap[a]):
        return "constant"
    reasons = []
    best, share = result.auroc[a].max(), result.redundancy[a]
    if best < config.min_auroc:
        reasons.append(f"best AUROC {best:.3f} is under {config.min_auroc}")
    if share > config.max_redundancy:
        reasons.append(f"another attribute tells {share:.3f} of its entropy, over {config.max_redundancy}")
    return "; ".join(reasons) or "captured"
