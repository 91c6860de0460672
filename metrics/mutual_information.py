"""MIG and modularity, from mutual informations of binned codes. Not in the paper: a bonus for comparison.

(SAP is left out: its linear machines depend on the scale of codes, so that no scale-free definition is at hand.)
"""

from abc import ABC, abstractmethod

import numpy as np
from sklearn.metrics import mutual_info_score

from metrics._base import Arrays, Metric, NoConfig, Value
from metrics._cache import in_memory
from metrics._labels import by_appearance, check_discrete, columns, constant_note, varying
from paramrel.errors import Unsupported

N_BINS = 20
EDGE = 1e-9
"""A code closer than this share of a bin to the bin's lower edge is in it: rounding may have moved it below."""


class OfInformation(Metric[NoConfig], ABC):
    """A score of the matrix of mutual informations between latents and factors (columns of y)."""

    version = 2
    direction = "higher"
    range = (0.0, 1.0)
    needs = ("z", "y")
    labels = ("y",)

    def compute(self, arrays: Arrays, seed: int) -> Value:
        z, y = arrays["z"], arrays["y"]
        y = columns(y)
        if not len(varying(y)):
            raise Unsupported("every label column is constant")
        for column in varying(y):
            check_discrete(y[:, column], column)
        return Value(self.score(*informations(z, y)), len(z), (), constant_note(y))

    @abstractmethod
    def score(self, information: np.ndarray, entropies: np.ndarray) -> float:
        """From (d, k) mutual informations and (k,) entropies, in nats."""


class Mig(OfInformation):
    """Mutual information gap: best minus second best latent's MI with a factor over the factor's entropy, mean."""

    name = "mig"
    title = "MIG (not in the paper)"
    places = {"disentanglement": 70}
    source = "R. Chen et al., arXiv 1802.04942, with disentanglement_lib's 20 equal bins"

    def score(self, information: np.ndarray, entropies: np.ndarray) -> float:
        if len(information) < 2:
            raise Unsupported("MIG needs at least two latents")
        ordered = np.sort(information, 0)
        return float(np.mean((ordered[-1] - ordered[-2]) / entropies))


class Modularity(OfInformation):
    """1 - sum_{j != best} MI_ij^2 / (MI_i,best^2 (k - 1)), mean over latents that tell anything."""

    name = "modularity"
    title = "modularity (not in the paper)"
    places = {"disentanglement": 80}
    source = "K. Ridgeway, M. Mozer, arXiv 1802.05312, with disentanglement_lib's 20 equal bins"

    def score(self, information: np.ndarray, entropies: np.ndarray) -> float:
        if information.shape[1] < 2:
            raise Unsupported("modularity needs at least two factors that vary")
        squares = information[information.max(1) > 1e-12] ** 2
        if not len(squares):
            return 0.0
        best = squares.max(1)
        return float(np.mean(1 - (squares.sum(1) - best) / (best * (squares.shape[1] - 1))))


@in_memory
def informations(z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(d, k) mutual informations of latents, each in 20 bins of equal width, and factors that vary; (k,) entropies."""
    factors = [by_appearance(y[:, column]) for column in varying(y)]
    z = z.astype(np.float64)
    low, width = z.min(0), np.ptp(z, 0)
    bins = np.minimum((z - low) / np.where(width > 0, width, 1) * N_BINS + EDGE, N_BINS - 1).astype(int)
    matrix = np.array([[mutual_info_score(factor, code) for factor in factors] for code in bins.T])
    return matrix.clip(0), np.array([mutual_info_score(factor, factor) for factor in factors])
