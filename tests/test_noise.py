"""Decoders are compared at the same noise, whatever a method calls its times."""

import math

import numpy as np
import pytest
import torch

from metrics import metric
from paramrel.data import dataset
from paramrel.latent_usage import swapped_losses
from paramrel.method import method
from paramrel.noise import NOISES, point, sigma, snr
from paramrel.rng import Rng
from tests.conftest import TINY_NETWORK

FLOWS = {"paramrel_d": "digits_binarized", "paramrel_c": "digits", "paramrel_discretised": "digits"}
DIFFUSIONS = ("diffae", "info_diffusion")
RNG = Rng((0, "noise"))


def built(name: str, data: str = "digits_binarized"):
    cls = method(name)
    return cls(dataset(data), TINY_NETWORK, cls.Config()).eval()


def test_noise_is_a_share_of_the_range_of_images_in_minus_1_to_1():
    assert [sigma(noise) for noise in NOISES] == [8, 4, 2, 1, 0.5] and snr(0.5) == 1
    assert [point(noise) for noise in NOISES] == ["noise=4", "noise=2", "noise=1", "noise=0.5", "noise=0.25"]


@pytest.mark.parametrize("name", FLOWS)
def test_flows_have_that_much_noise_at_those_times(name):
    model = built(name, FLOWS[name])
    assert list(model.usage_points()) == [point(noise) for noise in NOISES]
    for noise, u in model.noise_times.items():
        assert float(model.flow.kappa(torch.tensor(u, dtype=torch.float64))) == pytest.approx(
            1 / sigma(noise), rel=1e-6
        )


@pytest.mark.parametrize("name", DIFFUSIONS)
def test_diffusions_have_that_much_noise_at_those_times(name):
    model = built(name)
    assert list(model.usage_points()) == [point(noise) for noise in NOISES]
    for noise, t in zip(NOISES, model.usage_points().values(), strict=True):
        level = float(model.diffusion.noise[t] / model.diffusion.signal[t])
        assert level == pytest.approx(sigma(noise), rel=0.02), "the nearest of T times"


@pytest.mark.parametrize("name", FLOWS)
def test_a_flows_loss_is_the_bounds_per_unit_of_log_snr(name):
    """By the chain rule: the loss per unit of u is SNR/2 |x - xhat|^2 times d ln SNR / du."""
    model = built(name, FLOWS[name])
    x = model.flow.to_flow(torch.from_numpy(model.data.evaluation_images("test", slice(0, 6))[0]).float())
    for time in model.noise_times.values():
        u = torch.full((6,), time)
        theta, z = model.flow.sample(x, u, RNG), RNG.normal("z", (6, model.net.latent_dim))
        with torch.no_grad():
            output = model._output(theta, u, z)
        exact = torch.tensor(time, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(model.flow.beta(exact).log(), exact)
        per_u = model.flow.loss(x, output, u).flatten(1).sum(1)
        assert model.usage_loss(x, output, u) * float(slope) == pytest.approx(per_u, rel=1e-3)


def test_flows_and_diffusions_that_see_nothing_pay_the_same():
    """A decoder that always says the middle: |x - xhat|^2 is 1 for binary images in [-1, 1], at every noise."""
    losses = {}
    for name in ("paramrel_d", "diffae"):
        model = built(name)
        x = torch.from_numpy(model.data.evaluation_images("test", slice(0, 8))[0]).float()
        if name == "diffae":
            model._guess = lambda x, *_: torch.zeros_like(x)
        else:
            half = torch.full((*x.shape, 2), math.log(0.5))
            model._output = lambda *_, half=half: half
        with torch.no_grad():
            points, found = swapped_losses(model, x, RNG)
        assert points == [point(noise) for noise in NOISES]
        losses[name] = found["own"]
    expected = torch.tensor([snr(noise) / 2 * 64 for noise in NOISES])[:, None].expand(-1, 8)
    assert losses["paramrel_d"] == pytest.approx(expected, rel=1e-3)
    assert losses["diffae"] == pytest.approx(expected, rel=0.05)


def arrays(points: list[str]) -> dict[str, np.ndarray]:
    own = np.arange(1.0, 1 + len(points))[:, None].repeat(7, 1)
    return {"loss_points": np.array(points), "loss_own": own, "loss_permuted": own * np.array([[2.0], [3.0], [4.0]])}


def test_the_reference_is_half_of_the_range_and_the_curve_is_kept():
    found = metric("permuted_ratio")(arrays(["noise=1", "noise=0.5", "u=0.3"]))
    assert found.value == 3 and found.extra == {"points": ["noise=1", "noise=0.5", "u=0.3"], "curve": [2, 3, 4]}
    assert metric("loss_permuted")(arrays(["noise=1", "noise=0.5", "u=0.3"])).value == 6
    assert metric("permuted_ratio")(arrays(["u=0.1", "u=0.2", "u=0.3"])).value == 4, "tables, and former versions"
    assert metric("loss_own")(arrays(["u=0.3", "u=0.1", "u=0.2"])).extra["curve"] == [1, 2, 3]
