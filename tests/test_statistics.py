"""Intervals cover what they say, the paired test errs as often as it says, Holm's correction is Holm's."""

import itertools

import numpy as np
import pytest

from suite.show.statistics import compare, holm, smallest_p, summarise


def test_intervals_cover_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    summaries = [summarise(rng.normal(3, 2, 5)) for _ in range(4000)]
    covered = np.mean([abs(s.mean - 3) <= s.half_width for s in summaries])
    assert 0.93 < covered < 0.97


def test_intervals_of_paired_differences_cover_the_difference():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(2000):
        common = rng.normal(0, 5, 5)
        found = compare(common + rng.normal(1, 1, 5), common + rng.normal(0.5, 2, 5)).difference
        covered += abs(found.mean - 0.5) <= found.half_width
    assert 0.93 < covered / 2000 < 0.97, "what both share must not widen it"


def test_one_seed_has_neither_interval_nor_test():
    assert summarise(np.array([0.5])).half_width is None
    found = compare(np.array([0.5]), np.array([0.4]))
    assert found.p is None and found.difference.half_width is None and found.difference.mean == pytest.approx(0.1)


@pytest.mark.parametrize("n", [2, 5, 8])
def test_p_is_the_share_of_sign_patterns_as_extreme_as_the_data(n):
    rng = np.random.default_rng(n)
    first, second = rng.normal(0.3, 1, n), rng.normal(0, 1, n)
    d = first - second
    patterns = [abs(np.dot(signs, d)) >= abs(d.sum()) - 1e-12 for signs in itertools.product((1, -1), repeat=n)]
    assert compare(first, second).p == pytest.approx(np.mean(patterns))
    assert compare(second, first).p == compare(first, second).p


def test_p_cannot_fall_below_its_least():
    first = np.array([1.0, 1.1, 1.2, 1.3, 1.4])
    assert compare(first, np.zeros(5)).p == smallest_p(5) == 0.0625
    assert compare(first, first).p == 1


def test_many_seeds_flip_at_random_and_always_alike():
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.2, 1, 20), rng.normal(0, 1, 20)
    found = compare(first, second)
    assert found == compare(first, second) and 0 < found.p <= 1


def test_the_paired_test_finds_a_difference_where_there_is_none_as_often_as_its_level():
    """Eight seeds: p takes the values k/128, so that the test of level .05 rejects with probability 6/128 = .047."""
    rng = np.random.default_rng(0)
    skewed = [compare(rng.exponential(1, 8), rng.exponential(1, 8)).p for _ in range(2000)]
    rejected = np.mean(np.array(skewed) <= 0.05)
    assert abs(rejected - 6 / 128) < 3 * np.sqrt(0.047 * 0.953 / 2000)


def test_holm_by_hand():
    # sorted: .01 x 4 = .04, .02 x 3 = .06, .03 x 2 = .06, .04 x 1 = .04 but not below .06
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1, 1]) and holm([0.03]) == pytest.approx([0.03]) and holm([]) == []


def test_holm_keeps_the_family_wise_error():
    rng = np.random.default_rng(5)
    families = rng.uniform(size=(4000, 10))
    errors = np.mean([min(holm(ps)) <= 0.05 for ps in families])
    assert 0.04 < errors < 0.06
