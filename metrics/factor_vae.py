"""The FactorVAE score: does the latent that varies least tell which factor is held fixed?"""

import numpy as np
from pydantic import Field

from metrics._base import Arrays, Metric, Value
from metrics._labels import by_appearance, check_discrete, columns, constant_note, varying
from paramrel.errors import Unsupported, UserError
from paramrel.settings import Frozen

CHUNK = 500
"""Votes at a time, for memory."""
CONSTANT = 1e-12
"""A latent is constant, and takes no part, if its variance is below this share of the largest one's."""


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


def least_varying(z: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The latent of least variance in each batch of rows, (n, batch) to (n,); z (N, d) in units of its own spread."""
    return np.concatenate([z[part].var(1, ddof=1).argmin(1) for part in np.split(rows, range(CHUNK, len(rows), CHUNK))])


class FactorVae(Metric):
    """FactorVAE score: accuracy of a majority vote from the latent that varies least to the factor that is fixed.

    Each vote: batch of codes whose images share one factor's value, drawn from the given rows with replacement; the
    latent whose variance, over its variance in all rows, is the least. Votes of a first set say which factor each
    latent stands for, votes of a second set are right or wrong. Columns of y are the factors.
    """

    Config = FactorVaeConfig
    name = "factor_vae"
    version = 1
    title = "FactorVAE score"
    places = {"disentanglement": 40}
    direction = "higher"
    range = (0.0, 1.0)
    needs = ("z", "y")
    labels = ("y",)
    source = "H. Kim, A. Mnih, arXiv 1802.05983, in disentanglement_lib's form (arXiv 1811.12359)"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        z, y = arrays["z"].astype(np.float64), columns(arrays["y"])
        note, y = constant_note(y), y[:, varying(y)]
        if y.shape[1] < 2:
            raise Unsupported(f"the FactorVAE score needs at least two factors that vary, y has {y.shape[1]}")
        for j in range(y.shape[1]):
            check_discrete(y[:, j], j)
        if len(z) < 2:
            raise UserError("the FactorVAE score needs at least two items: give more codes")
        k, d = y.shape[1], z.shape[1]
        factors = np.stack([by_appearance(column) for column in y.T], 1)
        z = z - z.mean(0)
        spread = np.sqrt(z.var(0, ddof=1))
        varies = (spread**2 > CONSTANT * (spread**2).max()) & (spread >= self.config.min_std)
        if not varies.any():
            return Value(0.0, len(z), (), "; ".join([*[note] * bool(note), "no latent varies"]))
        rng = np.random.default_rng([seed, len(z)])
        tables = []
        for n in (self.config.n_train, self.config.n_eval):
            factor, rows = draw_votes(factors, n, self.config.batch, rng)
            latent = np.flatnonzero(varies)[least_varying(z[:, varies] / spread[varies], rows)]
            tables.append(np.bincount(latent * k + factor, minlength=d * k).reshape(d, k))
        stands_for = tables[0].argmax(1)
        train, score = (float(table[np.arange(d), stands_for].sum() / table.sum()) for table in tables)
        return Value(score, len(z), (), note, {"votes": tables[1].tolist(), "train_accuracy": train})

    def chance(self, arrays: Arrays) -> float:
        """One factor in k."""
        y = columns(arrays["y"])
        return 1 / max(1, len(varying(y)))
