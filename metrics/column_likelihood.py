"""Likelihood of the columns of a table, by type."""

from abc import ABC
from typing import ClassVar

import numpy as np

from metrics._base import Arrays, Metric, NoConfig, Value
from paramrel.errors import Unsupported


class OfColumns(Metric[NoConfig], ABC):
    """Mean over held-out rows and over columns of one type of what the bound gives to the column.

    ``nll_columns`` (M, L) in nats, ``column_classes`` (L,) the columns' numbers of classes, 0 for continuous ones. The
    KL of a latent belongs to no column: it is in bits/dim, and where it is not 0 these numbers alone are no bound.
    """

    version = 1
    direction = "lower"
    range = (0.0, float("inf"))
    needs = ("nll_columns", "nll_kl", "column_classes")
    by_default = False  # images have no columns
    source = "ours"
    categorical: ClassVar[bool]
    nats: ClassVar[float]
    """Nats per unit."""

    def compute(self, arrays: Arrays, seed: int) -> Value:
        nats, classes = arrays["nll_columns"].astype(np.float64), arrays["column_classes"]
        mine = (classes > 0) == self.categorical
        if not mine.any():
            raise Unsupported(f"the table has no {'categorical' if self.categorical else 'continuous'} column")
        kl = float(np.mean(arrays["nll_kl"], dtype=np.float64))
        note = f"the KL of its latent, {kl:.3g} nats a row, belongs to no column" if kl else ""
        return Value(float(nats[:, mine].mean() / self.nats), len(nats), (), note)


class NatsContinuous(OfColumns):
    """Nats per continuous column, of the probability of the value's bin."""

    name = "nats_continuous"
    title = "nats per continuous column"
    places = {"likelihood": 40}
    unit = "nats/column"
    categorical = False
    nats = 1.0


class BitsCategorical(OfColumns):
    """Bits per categorical column."""

    name = "bits_categorical"
    title = "bits per categorical column"
    places = {"likelihood": 50}
    unit = "bits/column"
    categorical = True
    nats = float(np.log(2))
