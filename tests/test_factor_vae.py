"""The FactorVAE score: codes whose score is known, and a plain loop."""

import numpy as np
import pytest

from metrics import metric
from metrics.factor_vae import draw_votes, shares, undecided
from paramrel.errors import Unsupported, UserError

FEW = {"n_train": 600, "n_eval": 600}


def factors(n: int = 2000, sizes: tuple[int, ...] = (3, 4, 5, 6), seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, n) for size in sizes], 1)


def score(z: np.ndarray, y: np.ndarray, seed: int = 0, **settings) -> float:
    return metric("factor_vae", settings)({"z": z, "y": y}, seed).value


def loop(z: np.ndarray, y: np.ndarray, n_train: int, n_eval: int, batch: int, seed: int) -> float:
    """The definition, one vote at a time."""
    rng = np.random.default_rng(seed)
    spread = z.var(0, ddof=1)

    def votes(n: int) -> np.ndarray:
        table = np.zeros((z.shape[1], y.shape[1]), int)
        for _ in range(n):
            factor = rng.integers(y.shape[1])
            value = y[rng.integers(len(y)), factor]
            rows = rng.choice(np.flatnonzero(y[:, factor] == value), batch)
            table[np.argmin(z[rows].var(0, ddof=1) / spread), factor] += 1
        return table

    train, test = votes(n_train), votes(n_eval)
    return sum(test[i, train[i].argmax()] for i in range(len(test))) / test.sum()


def noisy(y: np.ndarray, d: int, noise: float, seed: int = 1) -> np.ndarray:
    """Codes of which the first latents are factors with noise, two of them mixed."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(len(y), d))
    z[:, : y.shape[1]] = y + noise * rng.normal(size=y.shape)
    z[:, 0] += 0.7 * y[:, 1]
    return z


def test_a_latent_for_every_factor_scores_1():
    y = factors()
    assert score(y.astype(float), y, **FEW) == 1
    assert score(np.exp(-y * [1e-3, 1, 5, 0.1])[:, ::-1], y, **FEW) == 1, (
        "neither scale, sign, order nor a bend matters"
    )
    assert score(np.tile(y, 2).astype(float), y, **FEW) == 1, "nor a second latent for a factor"


def test_codes_without_information_score_one_in_k():
    y = factors()
    z = np.random.default_rng(1).normal(size=(len(y), 10))
    chosen = metric("factor_vae", {"n_train": 4000, "n_eval": 4000})
    assert chosen({"z": z, "y": y}, 0).value == pytest.approx(chosen.chance({"z": z, "y": y}), abs=0.04)
    assert chosen.chance({"z": z, "y": y}) == 1 / 4
    one = np.concatenate((y, np.zeros((len(y), 1), int)), 1)
    assert chosen.chance({"z": z, "y": one}) == 1 / 4, "a factor that is constant is none"


def test_a_latent_that_stands_for_two_factors_costs_one_of_them():
    y = factors(sizes=(2, 2, 2, 2))
    z = y.astype(float)
    z[:, 0] = 2 * y[:, 0] + y[:, 1]  # fixed y_0 lowers its variance far more than fixed y_1
    z = z[:, [0, 2, 3]]
    assert score(z, y, n_train=4000, n_eval=4000) == pytest.approx(0.75, abs=0.02)


def test_votes_are_those_of_a_plain_loop_on_the_same_rows():
    y = factors(300)
    z = noisy(y, 7, 0.8)
    factor, rows = draw_votes(y, 700, 16, np.random.default_rng(0))
    assert (y[rows, factor[:, None]] == y[rows[:, :1], factor[:, None]]).all(), "a batch shares the factor's value"
    assert set(factor) == {0, 1, 2, 3} and np.bincount(factor).min() > 130
    slow = [np.argmin([np.var(z[batch, j], ddof=1) for j in range(7)]) for batch in rows]
    assert shares(z, rows).argmax(1).tolist() == slow and (shares(z, rows).max(1) == 1).all()
    assert not undecided(shares(z, rows), y, rows).any(), "without ties every vote counts"


def test_values_are_drawn_as_often_as_they_occur_and_rows_evenly():
    y = np.repeat([0, 1], [900, 100])[:, None]
    factor, rows = draw_votes(y, 4000, 8, np.random.default_rng(0))
    assert (factor == 0).all() and (y[rows[:, 0], 0] == 1).mean() == pytest.approx(0.1, abs=0.02)
    counts = np.bincount(rows.ravel(), minlength=1000)
    assert counts[:900].mean() == pytest.approx(counts[900:].mean(), rel=0.2) and counts.min() > 5


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_the_score_is_that_of_a_plain_loop(noise):
    y = factors(500)
    z = noisy(y, 6, noise)
    slow = np.mean([loop(z, y, 800, 800, 32, seed) for seed in range(3)])
    fast = np.mean([score(z, y, seed, n_train=800, n_eval=800, batch=32) for seed in range(3)])
    assert 0.3 < slow < 0.999 and fast == pytest.approx(slow, abs=0.03)


def test_the_seed_decides_and_the_options_count():
    y = factors(400)
    z = noisy(y, 6, 1.5)
    assert score(z, y, 0, **FEW) == score(z, y, 0, **FEW) != score(z, y, 1, **FEW)
    assert score(z, y, batch=64, **FEW) > score(z, y, batch=4, **FEW), "more items tell variances better"


def test_latents_that_are_constant_take_no_part():
    y = factors(400)
    z = np.concatenate((np.full((400, 2), 3.0), y), 1)
    value = metric("factor_vae", FEW)({"z": z, "y": y}, 0)
    assert value.value == 1 and np.array(value.extra["votes"])[:2].sum() == 0
    nothing = metric("factor_vae", FEW)({"z": np.ones((400, 3)), "y": y}, 0)
    assert nothing.value == 0 and "no latent varies" in nothing.note


def test_a_latent_below_the_asked_width_takes_no_part():
    """A collapsed latent is noise on its own scale, and the least varying one of many batches."""
    y = factors(400)
    z = np.concatenate((0.01 * noisy(y, 6, 1.5)[:, :2], y), 1)
    votes = [
        np.array(metric("factor_vae", FEW | {"min_std": m})({"z": z, "y": y}, 0).extra["votes"]) for m in (0, 0.05)
    ]
    assert votes[0].shape == votes[1].shape and votes[1][:2].sum() == 0 and votes[1].sum() == votes[0].sum()


def test_the_votes_and_what_is_not_defined_are_told():
    y = factors(400)
    value = metric("factor_vae", FEW)({"z": y.astype(float), "y": y}, 0)
    votes = np.array(value.extra["votes"])
    assert votes.shape == (4, 4) and votes.sum() == 600 and votes.sum() == np.trace(votes)
    assert value.extra["train_accuracy"] == 1
    with pytest.raises(Unsupported, match="at least two factors"):
        metric("factor_vae")({"z": y.astype(float), "y": y[:, 0]}, 0)
    with pytest.raises(UserError, match="different values"):
        metric("factor_vae")({"z": y.astype(float), "y": np.stack((np.arange(400), y[:, 0]), 1)}, 0)
