"""Means over seeds and what can be said about them."""

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Summary:
    """Mean over n seeds and the half width of its 95 % t-interval (None for one seed)."""

    mean: float
    half_width: float | None
    n: int


def summarise(values: np.ndarray) -> Summary:
    """Summary of one value per seed, (n,). The interval assumes normal seeds; n = 1 has none."""
    n = len(values)
    mean = float(np.mean(values))
    if n < 2:
        return Summary(mean, None, n)
    half_width = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return Summary(mean, half_width, n)
