"""The discrete Bayesian flow: values of the official code, then identities."""

import json
import math
from pathlib import Path

import pytest
import torch

from paramrel.flows import DiscreteFlow
from paramrel.rng import Rng

ORACLE = json.loads((Path(__file__).parent / "data/discrete_flow.json").read_text())
X = torch.tensor(ORACLE["x"])
FLOW = DiscreteFlow(n_classes=2, beta_1=9.0)
TIMES = [0.05, 0.5, 0.95, 1.0]


def close(ours: torch.Tensor, theirs: list, relative: float = 1e-4) -> bool:
    return torch.allclose(ours, torch.tensor(theirs), rtol=relative, atol=1e-6)


def log_probs() -> torch.Tensor:
    return FLOW.output(torch.tensor(ORACLE["logit"]))


class FixedNoise(Rng):
    """A stream that returns the oracle's noise."""

    def normal(self, name, shape):
        return torch.tensor(ORACLE["noise"]).reshape(shape)


def test_accuracies_are_the_official_ones_and_sum_to_beta_1():
    alphas = [FLOW.alpha(i, 10) for i in range(1, 11)]
    assert alphas == pytest.approx(ORACLE["alpha_n10"])
    assert sum(alphas) == pytest.approx(ORACLE["sum_alpha_n10"])


@pytest.mark.parametrize("time", TIMES)
def test_flow_sample_and_network_input_match_the_official_code(time):
    u = torch.full((len(X),), time)
    logits = FLOW.sample(X, u, FixedNoise(()))
    assert close(logits.softmax(-1)[..., 0], ORACLE[f"t={time}"]["theta_class0"], 2e-4)
    # the official network sees class 0, ours class 1: the same number with the other sign
    assert close(-FLOW.network_input(logits), ORACLE[f"t={time}"]["net_input"], 2e-4)


@pytest.mark.parametrize("time", TIMES)
def test_continuous_time_loss_matches_the_official_code(time):
    u = torch.full((len(X),), time)
    assert close(FLOW.loss(X, log_probs(), u), ORACLE[f"t={time}"]["cts_loss_per_dim"])


def test_reconstruction_and_update_match_the_official_code():
    assert close(FLOW.reconstruction_nll(X, log_probs()), ORACLE["recon_nll_per_dim"])
    theta = FLOW.update(torch.tensor([[0.3, 0.7]]).log(), torch.tensor([[1.0, -0.5]])).softmax(-1)
    assert close(theta, ORACLE["update_example_theta.3,.7_y1,-.5"])


@pytest.mark.parametrize("case", ORACLE["discrete_n_step_KL_official_vs_joint_mixture"])
def test_n_step_loss_is_that_of_the_joint_mixture(case):
    p, n, alpha = case["p_true_class"], case["n_steps"], case["alpha"]
    i = round(n * case["t"]) + 1
    assert FLOW.alpha(i, n) == pytest.approx(alpha)
    x = torch.zeros(400_000, dtype=torch.long)
    log_p = torch.tensor([p, 1 - p]).log().expand(len(x), 2)
    ours = FLOW.n_step_loss(x, log_p, i, n, Rng((0,))).mean().item() / n
    assert ours == pytest.approx(case["kl_joint_mixture_as_in_paper"], rel=0.015, abs=6e-5)


def test_continuous_time_loss_is_the_limit_of_the_n_step_loss():
    n, i = 2000, 1001
    x = torch.zeros(200_000, dtype=torch.long)
    log_p = torch.tensor([0.6, 0.4]).log().expand(len(x), 2)
    steps = FLOW.n_step_loss(x, log_p, i, n, Rng((0,)), n_draws=20).mean()
    limit = FLOW.loss(x[:1], log_p[:1], torch.tensor([(i - 0.5) / n]))
    assert steps.item() == pytest.approx(limit.item(), rel=0.05)


@pytest.mark.parametrize("k", [2, 5])
def test_n_random_updates_reproduce_the_flows_mean_and_variance(k):
    flow, n = DiscreteFlow(k, beta_1=2.0), 8
    x = torch.arange(k).repeat(20_000)[:, None]
    logits = flow.prior(x.shape)
    for i in range(1, n + 1):
        logits = flow.update(logits, flow.send(x, flow.alpha(i, n), Rng((0,)).at(i)))
    expected = flow.mean_state(x, torch.ones(len(x)))
    residual = logits - expected
    assert residual.mean().abs() < 0.02
    assert residual.std().item() == pytest.approx(math.sqrt(k * flow.beta_1), rel=0.01)


def test_continuing_a_path_has_the_marginal_of_the_later_time():
    x = torch.ones(100_000, 1, dtype=torch.long)
    u, s = torch.full((len(x),), 0.3), torch.full((len(x),), 0.8)
    rng = Rng((0,))
    carried = FLOW.continue_path(FLOW.sample(x, u, rng.at("u")), x, u, s, rng.at("s"))
    residual = carried - FLOW.mean_state(x, s)
    assert residual.mean().abs() < 0.02
    assert residual.std().item() == pytest.approx(math.sqrt(2 * FLOW.beta_1 * 0.64), rel=0.01)


def test_two_classes_are_a_gaussian_flow_in_v_space():
    # v = logit difference / (2 kappa) with kappa = sqrt(beta_1) u is kappa x + n, x = +-1, n ~ N(0, 1)
    x = torch.tensor([0, 1]).repeat(100_000)[:, None]
    u = torch.full((len(x),), 0.4)
    logits = FLOW.sample(x, u, Rng((0,)))
    kappa = math.sqrt(FLOW.beta_1) * 0.4
    noise = (logits[..., 1] - logits[..., 0]) / (2 * kappa) - kappa * (2 * x - 1)
    assert noise.mean().abs() < 0.02
    assert noise.std().item() == pytest.approx(1, abs=0.01)


def test_the_prior_is_uniform_and_the_network_sees_zero():
    prior = FLOW.prior((2, 1, 3, 3))
    assert torch.equal(prior.softmax(-1), torch.full((2, 1, 3, 3, 2), 0.5))
    assert torch.equal(FLOW.network_input(prior), torch.zeros(2, 1, 3, 3))


def test_more_classes_give_one_channel_per_class_and_colour():
    flow = DiscreteFlow(n_classes=4)
    x = torch.randint(0, 4, (2, 3, 5, 5), generator=torch.Generator().manual_seed(0))
    net_in = flow.network_input(flow.mean_state(x, torch.ones(2)))
    assert net_in.shape == (2, 12, 5, 5)
    # a network that returns what it sees, sharpened, names the right classes
    assert torch.equal(flow.output(10 * net_in).argmax(-1), x)


def test_drawing_follows_the_output_distribution():
    log_p = torch.tensor([0.2, 0.5, 0.3]).log().expand(100_000, 3)
    drawn = DiscreteFlow(3).draw(log_p, Rng((0,)))
    shares = torch.bincount(drawn, minlength=3) / len(drawn)
    assert torch.allclose(shares, torch.tensor([0.2, 0.5, 0.3]), atol=0.01)
