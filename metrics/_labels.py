"""Label columns: classes, factors, attributes."""

import numpy as np

from paramrel.errors import UserError


def columns(y: np.ndarray) -> np.ndarray:
    """Labels as (N, k): a vector becomes one column."""
    return y[:, None] if y.ndim == 1 else y


def by_appearance(labels: np.ndarray) -> np.ndarray:
    """(N,) labels as 0..c-1 in order of first appearance: the same whatever the classes are called."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def varying(y: np.ndarray) -> np.ndarray:
    """Indices of the columns of y (N, k) that are not constant."""
    return np.flatnonzero((y != y[:1]).any(0))


def constant_note(y: np.ndarray) -> str:
    """What a reader must know about constant columns of y (N, k)."""
    n_constant = y.shape[1] - len(varying(y))
    return f"{n_constant} constant label column(s) left out" if n_constant else ""


def check_discrete(labels: np.ndarray, column: int) -> None:
    """Raises ``UserError`` for (N,) labels of which more than half are different: a measurement, or a running number."""
    n_values = len(np.unique(labels))
    if n_values > len(labels) / 2:
        raise UserError(
            f"label column {column} has {n_values} different values for {len(labels)} items: it is no class or factor; "
            "bin it (numpy.digitize), give more items, or leave it out"
        )
