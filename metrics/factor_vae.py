"""The FactorVAE score: does the latent that varies least tell which factor is held fixed?"""

import numpy as np
from pydantic import Field

from metrics._base import Arrays, Metric, Value
from metrics._codes import in_own_units, moves
from metrics._labels import by_appearance, check_discrete, columns, constant_note, joined, varying
from paramrel.errors import Unsupported
from paramrel.settings import Frozen

CHUNK = 500
"""Votes at a time, for memory."""
ALIKE = 1e-9
"""Latents whose variances in a vote differ by less than this share vary equally; rounding moves them by less."""


class FactorVaeConfig(Frozen):
    """Options of the FactorVAE score. The defaults are the definition."""

    n_train: int = Field(10_000, ge=1)
    """Votes that decide which factor each latent stands for."""
    n_eval: int = Field(5_000, ge=1)
    """Votes that are scored."""
    batch: int = Field(64, ge=2)
    """Items of a vote."""
    min_std: float = Field(0.0, ge=0)
    """Latents whose standard deviation is below this take no part, as those of a collapsed posterior (configurations of
    disentanglement_lib set .05; codes that are not tied to N(0, I) have no such scale)."""


def draw_votes(y: np.ndarray, n: int, batch: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The fixed factors (n,) of n votes, and the rows (n, batch) that share its value; y (N, k) classes 0..c-1.

    A factor is drawn uniformly, its value from a random row, and rows of that value with replacement.
    """
    factor = rng.integers(y.shape[1], size=n)
    value = y[rng.integers(len(y), size=n), factor]
    position = rng.random((n, batch))
    rows = np.empty((n, batch), np.int64)
    for j, column in enumerate(y.T):
        order, counts = np.argsort(column, kind="stable"), np.bincount(column)
        first = np.cumsum(counts) - counts
        mine = factor == j
        own = value[mine][:, None]
        rows[mine] = order[first[own] + (position[mine] * counts[own]).astype(np.int64)]
    return factor, rows


def shares(z: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Which latents vary least in each batch of rows: (n, batch) to (n, d), every row summing to 1.

    z (N, d) in units of its own spread. Latents that vary equally little share the vote. Differences from the batch's
    first item are taken before squares, so that a latent which does not move has a variance of exactly 0.
    """
    found = []
    for part in np.split(rows, range(CHUNK, len(rows), CHUNK)):
        variance = (z[part] - z[part[:, :1]]).var(1, ddof=1)
        least = variance <= variance.min(1, keepdims=True) * (1 + ALIKE)
        found.append(least / least.sum(1, keepdims=True))
    return np.concatenate(found)


def undecided(share: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Votes that can say nothing: several latents vary equally little, and so the items share several factors' values.

    A value that one item has makes such votes: the batch is that item, over and over. (n, d) shares of latents, (N, k)
    factors, (n, batch) rows to (n,) bool.
    """
    fixed = np.concatenate(
        [(y[part] == y[part[:, :1]]).all(1).sum(1) for part in np.split(rows, range(CHUNK, len(rows), CHUNK))]
    )
    return (share.max(1) < 1) & (fixed > 1)


class FactorVae(Metric[FactorVaeConfig]):
    """FactorVAE score: accuracy of a majority vote from the latent that varies least to the factor that is fixed.

    Each vote: a batch of codes whose images share one factor's value, drawn from the given rows with replacement; the
    latent whose variance, over its variance in all rows, is the least. Votes of a first set say which factor each
    latent stands for, votes of a second set are right or wrong. Columns of y are the factors. Latents that vary equally
    little share a vote; where the items then share several factors too, the vote does not count.
    """

    Config = FactorVaeConfig
    name = "factor_vae"
    version = 2
    title = "FactorVAE score"
    places = {"disentanglement": 40}
    direction = "higher"
    range = (0.0, 1.0)
    needs = ("z", "y")
    labels = ("y",)
    source = "H. Kim, A. Mnih, arXiv 1802.05983, in disentanglement_lib's form (arXiv 1811.12359)"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        y = columns(arrays["y"])
        kept, note = varying(y), constant_note(y)
        if len(kept) < 2:
            raise Unsupported(f"the FactorVAE score needs at least two factors that vary, y has {len(kept)}")
        for column in kept:
            check_discrete(y[:, column], column)
        factors = np.stack([by_appearance(y[:, column]) for column in kept], 1)
        mine = self._taking_part(arrays["z"])
        if not mine.any():
            return Value(0.0, len(factors), (), joined(note, "no latent varies"))
        z = in_own_units(arrays["z"].astype(np.float64)[:, mine])
        z = z / z.std(0, ddof=1)
        rng = np.random.default_rng([seed, len(z)])
        train, test = (self._table(z, factors, n, rng) for n in (self.config.n_train, self.config.n_eval))
        if not train.sum() or not test.sum():
            raise Unsupported("no batch of items shares the value of one factor alone: give more items")
        stands_for = train.argmax(1)
        votes = np.zeros((len(mine), len(kept)))
        votes[mine] = test
        extra = {"votes": votes.tolist(), "train_accuracy": _right(train, stands_for)}
        return Value(_right(test, stands_for), len(z), (), note, extra)

    def _taking_part(self, z: np.ndarray) -> np.ndarray:
        """(d,) bool: latents that are not constant and not below the asked width."""
        width = np.ldexp(in_own_units(z).std(0, ddof=1, dtype=np.float64), np.frexp(np.abs(z).max(0))[1])
        return moves(z) & (width >= self.config.min_std)

    def _table(self, z: np.ndarray, factors: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
        """How many of n votes each latent has with each fixed factor: (d, k)."""
        factor, rows = draw_votes(factors, n, self.config.batch, rng)
        share = shares(z, rows)
        counts = ~undecided(share, factors, rows)
        return share[counts].T @ np.eye(factors.shape[1])[factor[counts]]

    def chance(self, arrays: Arrays) -> float:
        """One factor in k."""
        y = columns(arrays["y"])
        return 1 / max(1, len(varying(y)))


def _right(votes: np.ndarray, stands_for: np.ndarray) -> float:
    """Share of the votes (d, k) that name the factor (d,) of their latent."""
    return float(votes[np.arange(len(votes)), stands_for].sum() / votes.sum())
