"""KL and MMD against closed forms and the measured table of their scales."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from paramrel.divergences import kl_standard_normal, mmd, reparametrise
from paramrel.rng import Rng

RNG = Rng((0,))


def test_kl_equals_torchs():
    mean, log_var = RNG.normal("m", (7, 5)), RNG.normal("v", (7, 5))
    theirs = kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(kl_standard_normal(mean, log_var), theirs, atol=1e-5)


def test_kl_pulls_the_posterior_towards_the_prior():
    mean, log_var = torch.full((1, 2), 2.0, requires_grad=True), torch.full((1, 2), -1.0, requires_grad=True)
    kl_standard_normal(mean, log_var).sum().backward()
    assert (mean.grad > 0).all() and (log_var.grad < 0).all()  # a descent step lowers the mean, raises the variance


def test_reparametrised_draws_have_the_posteriors_moments():
    z = reparametrise(torch.full((50_000, 1), 3.0), torch.full((50_000, 1), -2.0), RNG.normal("e", (50_000, 1)))
    assert z.mean().item() == pytest.approx(3, abs=0.01)
    assert z.std().item() == pytest.approx(torch.tensor(-1.0).exp().item(), rel=0.02)


def draws(n_draws: int, scale: float, kernel: str) -> torch.Tensor:
    """MMD of n_draws batches of 128 codes of d = 32 with standard deviation ``scale``."""
    values = []
    for i in range(n_draws):
        at = RNG.at(i)
        values.append(mmd(scale * at.normal("z", (128, 32)), at.normal("p", (128, 32)), kernel))
    return torch.stack(values)


def test_rbf_is_unbiased_and_sees_collapse_and_spread():
    matched = draws(60, 1.0, "rbf")
    assert matched.mean().abs() < 3 * matched.std() / 60**0.5 + 1e-5
    assert draws(5, 0.0, "rbf").mean().item() == pytest.approx(0.159, abs=0.006)
    assert draws(5, 2.0, "rbf").mean().item() == pytest.approx(0.210, abs=0.006)


def test_the_infodiffusion_kernel_is_as_flat_as_measured():
    # total collapse costs less than the estimator's own bias at the optimum
    assert draws(5, 0.0, "infodiffusion").mean() < draws(5, 1.0, "infodiffusion").mean() + 0.0015


def test_repeating_a_batch_leaves_the_v_statistic_alone():
    z, p = RNG.normal("z", (16, 4)), RNG.normal("p", (16, 4))
    assert torch.allclose(mmd(z, p, "infodiffusion"), mmd(z.repeat(2, 1), p.repeat(2, 1), "infodiffusion"), atol=1e-6)
