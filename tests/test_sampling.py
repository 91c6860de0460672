"""Samplers against decoders that are known exactly: the orders of the ODE solvers, exact inversion, ancestral
samples."""

from collections.abc import Iterator

import pytest
import torch

from paramrel.flows import ContinuousFlow, DiscreteFlow, DiscretisedFlow
from paramrel.rng import Rng
from paramrel.sampling import ancestral, integrate

RNG = Rng((0, "sampling"))
MEAN, VARIANCE = 0.2, 0.09
"""Of Gaussian data."""
ODDS = torch.tensor([0.3, 0.7])
"""Of binary data."""
CONTINUOUS = ContinuousFlow(0.03, tuple(k / 16 for k in range(17)))
BINARY = DiscreteFlow(2, 9.0)


@pytest.fixture
def float64() -> Iterator[None]:
    """Errors of solvers, not of rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def gaussian(mu, u, z):
    """E[x | mu] of N(MEAN, VARIANCE): smooth in v and u."""
    beta = CONTINUOUS.beta(u).reshape(-1, 1, 1, 1)
    return (MEAN + VARIANCE * (1 + beta) * mu) / (1 + VARIANCE * beta)


def binary(state, u, z):
    """log p(x | theta) of independent pixels with ODDS."""
    return (state + ODDS.log().to(state.dtype)).log_softmax(-1)


CASES = {"continuous": (CONTINUOUS, gaussian), "discrete": (BINARY, binary)}
every_case = pytest.mark.parametrize(("flow", "decode"), CASES.values(), ids=CASES)


def start(n: int = 200) -> torch.Tensor:
    return RNG.normal("subcode", (n, 1, 2, 2)).double()


def error(a: torch.Tensor, b: torch.Tensor) -> float:
    return (a - b).square().mean().sqrt().item()


def exact(v: torch.Tensor) -> torch.Tensor:
    """Where the ODE of Gaussian data takes v from kappa = 0: v(kappa) = kappa m + v(0) sqrt(1 + s^2 kappa^2)."""
    kappa = CONTINUOUS.kappa(torch.ones(1, dtype=torch.float64))
    return kappa * MEAN + v * (1 + VARIANCE * kappa**2).sqrt()


@pytest.mark.usefixtures("float64")
class TestOde:
    @pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
    def test_the_error_to_the_exact_solution_falls_at_the_solvers_order(self, solver, order):
        v = start()
        errors = [error(integrate(CONTINUOUS, gaussian, v, None, 0.0, 1.0, n, solver), exact(v)) for n in (200, 400)]
        assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.15)

    @every_case
    @pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
    def test_there_and_back_the_error_falls_at_least_at_the_solvers_order(self, flow, decode, solver, order):
        v = start()
        errors = []
        for n in (200, 400):
            there = integrate(flow, decode, v, None, 0.0, 1.0, n, solver)
            errors.append(error(integrate(flow, decode, there, None, 1.0, 0.0, n, solver), v))
        assert errors[0] / errors[1] > 0.85 * 2**order
        assert errors[1] < {1: 0.02, 2: 1e-5}[order]

    @every_case
    @pytest.mark.parametrize("solver", ["euler", "heun"])
    def test_fixed_point_steps_invert_exactly(self, flow, decode, solver):
        v = start()
        there = integrate(flow, decode, v, None, 0.0, 1.0, 20, solver)
        plain = integrate(flow, decode, there, None, 1.0, 0.0, 20, solver)
        back = integrate(flow, decode, there, None, 1.0, 0.0, 20, solver, fixed_point=60)
        assert error(back, v) < 1e-12 < 1e-5 < error(plain, v)

    @every_case
    def test_subcodes_of_data_are_standard_normal(self, flow, decode):
        # flow samples at u = 1 have the marginal that the ODE started from: backwards they must become N(0, I)
        n, one = 4000, torch.ones(4000)
        if flow is BINARY:
            x = (RNG.uniform("x", (n, 1, 2, 2)) < ODDS[1]).long()
        else:
            x = MEAN + VARIANCE**0.5 * RNG.normal("x", (n, 1, 2, 2)).double()
        v = flow.to_v(flow.sample(x, one, RNG), one)
        subcode = integrate(flow, decode, v, None, 1.0, 0.0, 100)
        assert subcode.mean().abs() < 4 / subcode.numel() ** 0.5
        assert subcode.std().item() == pytest.approx(1, abs=0.03)
        assert subcode.pow(4).mean().item() == pytest.approx(3, abs=0.3)


class Constant:
    """Stands for the codes of a sampler; remembers what it was asked."""

    def __init__(self) -> None:
        self.steps = []

    def __call__(self, i, theta, u):
        self.steps.append((i, round(u[0].item(), 4)))
        return torch.zeros(len(theta), 1)


class TestAncestral:
    def test_codes_are_asked_for_at_every_step_and_at_the_end(self):
        codes = Constant()
        ancestral(BINARY, binary, codes, (2, 1, 2, 2), RNG, 4)
        assert codes.steps == [(0, 0.0), (1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0)]

    @pytest.mark.parametrize("kind", ["discrete", "continuous", "discretised"])
    def test_a_decoder_that_knows_the_image_makes_it(self, kind):
        bins = tuple((2 * k + 1) / 32 for k in range(16))
        flow = {
            "discrete": DiscreteFlow(16, 1.0, bins),
            "continuous": ContinuousFlow(0.03, bins),
            "discretised": DiscretisedFlow(0.03, bins, "x"),
        }[kind]
        images = torch.tensor(bins).reshape(1, 1, 4, 4).repeat(3, 1, 1, 1)
        x = flow.to_flow(images)

        def knows(theta, u, z):
            if kind == "discrete":
                return (30 * flow.one_hot(x)).log_softmax(-1)
            return x if kind == "continuous" else flow.output(torch.cat((x, x - 5), 1), theta, u)

        made = ancestral(flow, knows, Constant(), tuple(images.shape), RNG, 5)
        assert torch.allclose(made, images, atol=1e-6)

    def test_samples_of_an_exact_decoder_have_the_datas_distribution(self):
        made = ancestral(BINARY, binary, Constant(), (3000, 1, 2, 2), RNG, 20)
        # every step is exact; only the last mode in place of a draw moves the share a little
        assert made.mean().item() == pytest.approx(ODDS[1].item(), abs=0.02)
        other = ancestral(BINARY, binary, Constant(), (3000, 1, 2, 2), RNG.at("other"), 20)
        assert not torch.equal(made, other)
        assert torch.equal(made, ancestral(BINARY, binary, Constant(), (3000, 1, 2, 2), RNG, 20))
