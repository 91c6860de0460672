"""Means over seeds and what can be said about them: intervals, paired differences, tests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
"""Of every interval."""
N_FLIPS = 9999
"""Random sign flips of the paired test where there are more than this many (over 13 seeds); all of them otherwise."""


@dataclass(frozen=True)
class Summary:
    """Mean over n seeds and the half width of its 95 % t-interval (None for one seed)."""

    mean: float
    half_width: float | None
    n: int


@dataclass(frozen=True)
class Comparison:
    """Mean difference of two methods over the n seeds that both have, its interval, and the two-sided p of "no
    difference" (None for one seed)."""

    difference: Summary
    p: float | None


def summarise(values: np.ndarray) -> Summary:
    """Summary of one value per seed, (n,). The interval assumes normal seeds; n = 1 has none."""
    n = len(values)
    mean = float(np.mean(values))
    if n < 2:
        return Summary(mean, None, n)
    half_width = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return Summary(mean, half_width, n)


def compare(first: np.ndarray, second: np.ndarray) -> Comparison:
    """first − second, (n,) each, paired by seed, with a sign-flip permutation test of the mean difference.

    Under "no difference" the sign of each seed's difference is a coin toss, whatever its distribution. Of the 2^n
    sign patterns at least two are as extreme as any data, so p is never under 2^(1−n): .0625 for five seeds.
    """
    differences = np.asarray(first, float) - np.asarray(second, float)
    summary = summarise(differences)
    if len(differences) < 2:
        return Comparison(summary, None)
    test = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=N_FLIPS, vectorized=True, rng=0
    )
    return Comparison(summary, float(test.pvalue))


def smallest_p(n: int) -> float:
    """The smallest two-sided p that ``compare`` can give with n seeds."""
    return 2.0 ** (1 - n)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p-values of a family of tests to those of the family as a whole.

    The k-th smallest of m is multiplied by m − k + 1; none falls below a smaller one's; none exceeds 1.
    Source: S. Holm, Scandinavian Journal of Statistics 6 (1979), 65-70.
    """
    order = np.argsort(ps, kind="stable")
    factors = np.arange(len(ps), 0, -1)
    corrected = np.empty(len(ps))
    corrected[order] = np.minimum(1, np.maximum.accumulate(np.asarray(ps, float)[order] * factors))
    return corrected.tolist()
