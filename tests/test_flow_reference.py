"""The flows against the official BFN code's numbers on fixed inputs (tests/data/*.json name its commit).

That code computes in float32, so equality is 1e-4 of a value plus the rounding that the same quantity has there: a
probability is a difference of two numbers near 1 (``ULP``), and a loss w (x - m)^2 takes over the rounding of m. Three
groups of its numbers are no reference, and there ours are held against float64 instead: mu at u = 1e-7 (1 - gamma
rounds, up to 1.7 % off), log-probabilities with P < 1e-5 (it returns a density), and the n-step loss of the discrete
flow (it mixes the coordinates of a K-vector one by one).
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import norm

from paramrel.flows import ContinuousFlow, DiscreteFlow, DiscretisedFlow
from paramrel.rng import Rng
from tests.n_steps import n_step_loss

DATA = Path(__file__).parent / "data"
GAUSSIAN = json.loads((DATA / "gaussian_flow_reference.json").read_text())
DISCRETE = json.loads((DATA / "discrete_flow.json").read_text())
ULP = 2.0**-22
"""Four roundings of a float32 near 1."""
CASES = {"256bins_minvar1e-6": (256, 1e-3, 1.0), "16bins_minvar1e-3": (16, 1e-3**0.5, 0.7)}
TIMES = [key for key in GAUSSIAN["16bins_minvar1e-3"] if key.startswith("t=")]
OUT, OUT_MEAN, OUT_LOG_STD = (torch.tensor(GAUSSIAN["inputs"][key]) for key in ("out", "out_mean", "out_log_std"))


class Fixed(Rng):
    """A stream that returns the reference's noise."""

    def normal(self, name, shape):
        return torch.tensor(GAUSSIAN["inputs"]["eps"]).reshape(shape)


def assert_close(ours: torch.Tensor, theirs: list | torch.Tensor, rounding: float | torch.Tensor = 1e-7) -> None:
    theirs = torch.as_tensor(theirs)
    assert ours.shape == theirs.shape
    excess = (ours - theirs).abs() - 1e-4 * theirs.abs() - rounding
    assert (excess <= 0).all(), f"off by {excess.max()} more than allowed"


@pytest.fixture(params=CASES)
def case(request):
    """Reference numbers, data (3, 6), and the two flows."""
    bins, sigma_1, scale = CASES[request.param]
    centres = tuple((2 * k + 1) / (2 * bins) for k in range(bins))
    reference = GAUSSIAN[request.param]
    return (
        reference,
        torch.tensor(reference["xq"]),
        ContinuousFlow(sigma_1, centres, "eps", reconstruction_scale=scale),
        DiscretisedFlow(sigma_1, centres, "eps"),
    )


def exact_log_probability(mean: torch.Tensor, std: torch.Tensor, x: torch.Tensor, bins: int) -> torch.Tensor:
    """log P of the bin of x in float64."""
    mean, std, x = (value.double().numpy() for value in (mean, std, x))
    upper = np.where(x > 1 - 1.5 / bins, np.inf, (x + 1 / bins - mean) / std)
    lower = np.where(x < -1 + 1.5 / bins, -np.inf, (x - 1 / bins - mean) / std)
    mirrored = lower > 0
    lower, upper = np.where(mirrored, -upper, lower), np.where(mirrored, -lower, upper)
    return torch.from_numpy(np.log(norm.cdf(upper) - norm.cdf(lower))).float()


class TestGaussian:
    def test_accuracies(self, case):
        reference, _, flow, _ = case
        assert [flow.alpha(i, 10) for i in range(1, 11)] == pytest.approx(reference["alpha_n10"])
        assert flow.beta(torch.ones(1)).item() == pytest.approx(reference["beta1_closed_form"])
        assert reference["sum_alpha_n10"] == pytest.approx(reference["beta1_closed_form"])

    @pytest.mark.parametrize("time", TIMES)
    def test_flow_sample(self, case, time):
        reference, x, flow, _ = case
        u = float(time[2:])
        mu = flow.sample(x, torch.full((3,), u), Fixed(()))
        if u == 1e-7:
            gamma = -math.expm1(2 * u * math.log(flow.sigma_1))
            eps = torch.tensor(GAUSSIAN["inputs"]["eps"]).double()
            exact = gamma * x.double() + math.sqrt(gamma * (1 - gamma)) * eps
            assert torch.allclose(mu.double(), exact, rtol=1e-6, atol=0)
            assert torch.allclose(torch.tensor(reference[time]["mu"]).double(), exact, rtol=0.02, atol=0)
        else:
            assert_close(mu, reference[time]["mu"])

    @pytest.mark.parametrize("time", TIMES)
    def test_continuous_output(self, case, time):
        reference, x, flow, _ = case
        expected, u = reference[time], torch.full((3,), float(time[2:]))
        output = flow.output(OUT, flow.sample(x, u, Fixed(())), u)
        assert_close(output, expected["delta_xhat_clipped"])
        assert_close(flow.loss(x, output, u), expected["delta_cts_loss_per_dim"])
        if "delta_discrete_loss_n10_per_dim" in expected:  # at u = (i - 1)/n, where i need not be whole
            steps = n_step_loss(flow, x, output, 10 * float(time[2:]) + 1, 10, Fixed(()))
            assert_close(steps, expected["delta_discrete_loss_n10_per_dim"])
        if time == "t=1.0":
            assert_close(flow.reconstruction_nll(x, output), expected["delta_recon_nll_per_dim"])

    @pytest.mark.parametrize("time", TIMES)
    def test_discretised_output(self, case, time):
        reference, x, _, flow = case
        expected, u = reference[time], torch.full((3,), float(time[2:]))
        output = flow.output(torch.cat((OUT_MEAN, OUT_LOG_STD), 1), flow.sample(x, u, Fixed(())), u)
        mean = torch.tensor(expected["disc_mean"])
        assert_close(flow.direction(output), mean)
        assert torch.equal(flow.mode(output), torch.tensor(expected["disc_mode"]))
        weight = -math.log(flow.sigma_1) * flow.sigma_1 ** (-2 * float(time[2:]))
        rounding = weight * (2 * (x - mean).abs() * ULP + ULP**2)
        assert_close(flow.loss(x, output, u), expected["disc_cts_loss_per_dim"], rounding)
        if "disc_probs" in expected:
            assert_close(flow.bin_log_probs(output).exp(), expected["disc_probs"], ULP)
        nll, theirs = flow.reconstruction_nll(x, output), -torch.tensor(expected["disc_logprob"])
        exact = -exact_log_probability(output.mean, output.std, x, len(flow.centres))
        assert_close(nll, exact, 1e-6)
        likely = theirs < -math.log(1e-5)
        assert_close(nll[likely], theirs[likely], ULP)
        if time == "t=1.0":
            assert_close(nll, expected["disc_recon_nll_per_dim"], ULP)


class TestDiscrete:
    x = torch.tensor(DISCRETE["x"])
    flow = DiscreteFlow(n_classes=2, beta_1=9.0)
    times = ("t=0.05", "t=0.5", "t=0.95", "t=1.0")

    class Fixed(Rng):
        def normal(self, name, shape):
            return torch.tensor(DISCRETE["noise"]).reshape(shape)

    def test_accuracies(self):
        assert [self.flow.alpha(i, 10) for i in range(1, 11)] == pytest.approx(DISCRETE["alpha_n10"])
        assert DISCRETE["sum_alpha_n10"] == self.flow.beta_1

    @pytest.mark.parametrize("time", times)
    def test_flow_sample_and_network_input(self, time):
        logits = self.flow.sample(self.x, torch.full((3,), float(time[2:])), self.Fixed(()))
        # the official code clamps u below 1 - 1e-6 and rounds in softmax; its network sees class 0, ours class 1: the
        # same number with the other sign
        assert_close(logits.softmax(-1)[..., 0], DISCRETE[time]["theta_class0"], 1e-6)
        assert_close(-self.flow.network_input(logits), DISCRETE[time]["net_input"], 1e-6)

    @pytest.mark.parametrize("time", times)
    def test_continuous_time_loss(self, time):
        output = self.flow.output(torch.tensor(DISCRETE["logit"]))
        loss = self.flow.loss(self.x, output, torch.full((3,), float(time[2:])))
        assert_close(loss, DISCRETE[time]["cts_loss_per_dim"])

    def test_reconstruction_and_update(self):
        output = self.flow.output(torch.tensor(DISCRETE["logit"]))
        assert_close(self.flow.reconstruction_nll(self.x, output), DISCRETE["recon_nll_per_dim"])
        theta = self.flow.update(torch.tensor([[0.3, 0.7]]).log(), torch.tensor([[1.0, -0.5]])).softmax(-1)
        assert_close(theta, DISCRETE["update_example_theta.3,.7_y1,-.5"])

    @pytest.mark.parametrize("step", DISCRETE["discrete_n_step_KL_official_vs_joint_mixture"])
    def test_n_step_loss_is_that_of_the_joint_mixture(self, step):
        p, n, alpha = step["p_true_class"], step["n_steps"], step["alpha"]
        i = round(n * step["t"]) + 1
        assert self.flow.alpha(i, n) == pytest.approx(alpha)
        x = torch.zeros(400_000, dtype=torch.long)
        log_p = torch.tensor([p, 1 - p]).log().expand(len(x), 2)
        ours = n_step_loss(self.flow, x, log_p, i, n, Rng((0,))).mean().item() / n
        assert ours == pytest.approx(step["kl_joint_mixture_as_in_paper"], rel=0.015, abs=6e-5)
