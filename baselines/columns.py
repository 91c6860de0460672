"""Sanity row for tables: likelihoods without a latent, of independent columns and of a chain of regressions."""

from typing import Literal

import numpy as np
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from paramrel.data import Column, DataSet
from paramrel.errors import Unsupported, UserError
from paramrel.likelihoods import binned_gaussian_nll
from paramrel.method import Codes, Nll, Swap, Untrained
from paramrel.rng import Rng
from paramrel.settings import Frozen, Network

IMPOSSIBLE = -1e9
"""Logit of the classes that a column does not have."""


class ColumnsConfig(Frozen):
    """Settings of the columns' likelihood."""

    given: Literal["nothing", "columns_before"] = "nothing"
    """nothing: a Gaussian put into bins for each continuous column, the (add-one) frequencies of each categorical one.
    columns_before: mean or logits are linear in all columns further left, by least squares or logistic regression, so
    the product over columns is still an exact likelihood."""


class Columns(Untrained[ColumnsConfig]):
    """p(x) = prod_j p(x_j) or prod_j p(x_j | x_1 .. x_{j-1}). It has no latent: its code is one constant."""

    name = "columns"
    title = "column by column"
    source = "sanity row"
    tables = True
    Config = ColumnsConfig
    variants = {"independent": {"given": "nothing"}, "chain": {"given": "columns_before"}}
    weight: Tensor
    bias: Tensor
    std: Tensor
    centres: Tensor

    def __init__(self, data: DataSet, net: Network, config: ColumnsConfig) -> None:
        super().__init__(data, net, config)
        n, k = len(data.columns), max(column.n_classes or 1 for column in data.columns)
        self.register_buffer("weight", torch.zeros(n, k, n))
        self.register_buffer("bias", torch.full((n, k), IMPOSSIBLE))
        self.register_buffer("std", torch.ones(n))
        self.register_buffer("centres", data.centres, persistent=False)

    @classmethod
    def skip(cls, data: DataSet) -> str | None:
        return None if data.kind == "mixed" else "it is the reference of tables; images have stronger ones"

    def fit(self, images: np.ndarray, rng: Rng) -> None:
        rows = images.reshape(len(images), -1).astype(np.float64)
        for j, column in enumerate(self.data.columns):
            before = rows[:, : j if self.config.given == "columns_before" else 0]
            values, seen = column.n_classes or 1, before.shape[1]
            if column.n_classes is None:
                weight, bias, residual = _least_squares(before, rows[:, j])
                finest = float(self.centres[1] - self.centres[0]) / 4
                self.std[j] = max(finest, float(np.sqrt(np.square(residual).sum() / (len(rows) - seen - 1))))
            else:
                classes = _classes(rows[:, j], column)
                unseen = sorted(set(range(values)) - set(classes.tolist()))
                if seen and unseen:
                    raise UserError(
                        f"column {column.name}: no training row has class {unseen[0]} of {values}, so that no "
                        "regression on other columns can learn it: give the column fewer classes, or leave chain out"
                    )
                weight, bias = _logits(before, classes, values)
            self.weight[j, :values, :seen] = torch.from_numpy(weight)
            self.bias[j, :values] = torch.from_numpy(bias)

    def encode(self, x: Tensor) -> Codes:
        return Codes(torch.zeros(len(x), 1, device=x.device))

    def generate(self, z: Tensor, rng: Rng, n_steps: int) -> Tensor:
        """Whatever z is."""
        return self.sample(len(z), rng, n_steps)

    def sample(self, n: int, rng: Rng, n_steps: int) -> Tensor:
        """From left to right."""
        x = torch.zeros(n, len(self.data.columns), device=rng.device)
        for j, column in enumerate(self.data.columns):
            out = self._outputs(x)[:, j]
            if column.n_classes is None:
                drawn = out[:, 0] + self.std[j] * rng.normal(f"column {j}", (n,))
                x[:, j] = (drawn * (self.data.bins - 1)).round().clamp(0, self.data.bins - 1) / (self.data.bins - 1)
            else:
                uniform = rng.uniform(f"column {j}", tuple(out.shape)).clamp_min(1e-20)
                x[:, j] = (out - torch.log(-torch.log(uniform))).argmax(1) / (column.n_classes - 1)
        return x.reshape(n, *self.data.shape)

    def nll(self, x: Tensor, rng: Rng) -> Nll:
        """Exact."""
        rows = x.flatten(1)
        out = self._outputs(rows)
        nats = torch.empty_like(rows)
        for j, column in enumerate(self.data.columns):
            if column.n_classes is None:
                nats[:, j] = binned_gaussian_nll(out[:, j, 0], self.std[j], rows[:, j], self.centres)
            else:
                own = (rows[:, j, None] * (column.n_classes - 1)).round().long()
                nats[:, j] = -out[:, j].log_softmax(1).gather(1, own)[:, 0]
        return Nll(nats.sum(1), torch.zeros(len(x), device=x.device), nats)

    def decoder_loss(self, x: Tensor, swap: Swap, rng: Rng) -> dict[str, Tensor]:
        raise Unsupported("it has no latent")

    def _outputs(self, rows: Tensor) -> Tensor:
        """Mean (the first) or logits of every column, (N, C, K)."""
        return torch.einsum("jki,ni->njk", self.weight, rows) + self.bias


def _classes(values: np.ndarray, column: Column) -> np.ndarray:
    assert column.n_classes is not None
    return np.rint(values * (column.n_classes - 1)).astype(int)


def _least_squares(before: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weight (1, p), bias (1,) and residuals (N,)."""
    if not before.shape[1]:
        return np.zeros((1, 0)), values.mean(keepdims=True), values - values.mean()
    line = LinearRegression().fit(before, values)
    return line.coef_[None], np.array([line.intercept_]), values - line.predict(before)


def _logits(before: np.ndarray, classes: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Weight (K, p) and bias (K,), for columns as they come; the regression sees standardised ones."""
    if not before.shape[1]:
        return np.zeros((n_classes, 0)), np.log(np.bincount(classes, minlength=n_classes) + 1.0)
    scaler = StandardScaler().fit(before)
    line = LogisticRegression(max_iter=1000).fit(scaler.transform(before), classes)
    weight, bias = line.coef_ / scaler.scale_, line.intercept_
    bias = bias - weight @ scaler.mean_
    if n_classes == 2:
        weight, bias = np.concatenate((np.zeros_like(weight), weight)), np.concatenate((np.zeros(1), bias))
    return weight, bias
