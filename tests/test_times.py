"""Times where images are decided: their density, their strata, and the error that is weighed by them."""

import math

import pytest
import torch

from baselines._diffusion import Diffusion
from paramrel.data import dataset
from paramrel.flows import LastSample
from paramrel.rng import Rng
from paramrel.times import EdmTimes, TimesConfig, cut_normal, split
from tests.test_flows import FLOWS
from tests.toys import BinnedDigits, build, images

RNG = Rng((0, "times"))
ALL = FLOWS | {"last sample": LastSample(FLOWS["continuous"], 20)}
every_flow = pytest.mark.parametrize("flow", ALL.values(), ids=ALL)
NORMAL = torch.distributions.Normal(-0.5, 1.3)
DATA = {
    "paramrel_d": dataset("digits_binarized"),
    "paramrel_c": dataset("digits"),
    "paramrel_discretised": BinnedDigits(),
}
ALONE = {"encoder": "static", "posterior": "point", "lambda_mmd": 0.0}
"""Settings with which the loss is the flow's part alone."""


def edm(flow, **settings) -> EdmTimes:
    return EdmTimes(flow, TimesConfig(**settings))


@every_flow
class TestDensity:
    def test_quantiles_are_those_of_the_normal_that_the_flow_reaches(self, flow):
        u = edm(flow, times_uniform=0.0).draw(RNG.stratified("u", 20_000)).double()
        log_sigma = -flow.beta(u).log() / 2
        least = NORMAL.cdf(-flow.beta(torch.ones(1, dtype=torch.float64)).log() / 2)
        for q in (0.01, 0.1, 0.5, 0.9, 0.99):
            expected = NORMAL.icdf(least + q * (1 - least)).item()
            assert torch.quantile(log_sigma, q).item() == pytest.approx(expected, abs=0.03)

    def test_a_time_gives_its_quantile_back(self, flow):
        q = torch.linspace(0.01, 0.99, 50)
        u = edm(flow, times_uniform=0.0).draw(q).double()
        least = NORMAL.cdf(-flow.beta(torch.ones(1, dtype=torch.float64)).log() / 2)
        back = (NORMAL.cdf(-flow.beta(u).log() / 2) - least) / (1 - least)
        assert torch.allclose(back, q.double(), atol=1e-4)

    @pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
    def test_both_ends_are_finite_times(self, flow, share):
        u = edm(flow, times_uniform=share).draw(torch.tensor([0.0, 1e-12, 1 - 1e-7, 1.0]))
        assert torch.isfinite(u).all() and (u >= 0).all() and (u <= 1).all()
        hidden = torch.tensor([False, True, False, False])
        weight = edm(flow).weight(u, hidden)
        assert torch.isfinite(weight).all() and weight[1] == 1

    def test_a_mixture_keeps_both_parts_in_strata(self, flow):
        n, uniform = 200, RNG.stratified("mixed", 200)
        u = edm(flow, times_uniform=0.3).draw(uniform)
        own = u[uniform >= 0.7].sort().values.double()
        assert len(own) in (59, 60, 61) and (own - torch.arange(len(own)) / len(own)).abs().max() < 2.1 / len(own)
        alone = edm(flow, times_uniform=0.0).draw(uniform[uniform < 0.7] / 0.7)
        assert torch.allclose(u[uniform < 0.7], alone, atol=1e-5) and len(alone) + len(own) == n

    def test_uniform_times_alone_are_the_flows_own(self, flow):
        uniform = RNG.stratified("uniform", 100)
        assert torch.allclose(edm(flow, times_uniform=1.0).draw(uniform), uniform)

    def test_the_weighted_error_is_that_of_v(self, flow):
        """v = sqrt(gamma) n - sqrt(1 - gamma) x, of the noise that an estimate of x implies."""
        u = torch.linspace(0.05, 0.9, 12).double()
        gamma = flow.beta(u) / (1 + flow.beta(u))
        x, noise, estimate = (RNG.normal(name, (12,)).double() for name in ("x", "n", "xhat"))
        seen = gamma.sqrt() * x + (1 - gamma).sqrt() * noise
        implied = (seen - gamma.sqrt() * estimate) / (1 - gamma).sqrt()
        v, v_hat = (gamma.sqrt() * n - (1 - gamma).sqrt() * s for n, s in ((noise, x), (implied, estimate)))
        weight = edm(flow).weight(u, torch.zeros(12, dtype=torch.bool))
        assert torch.allclose(weight * (x - estimate).square(), (v - v_hat).square())


def test_a_share_is_split_in_place():
    below, place = split(torch.tensor([0.0, 0.35, 0.7, 0.85], dtype=torch.float64), 0.7)
    assert below.tolist() == [True, True, False, False]
    assert torch.allclose(place, torch.tensor([0.0, 0.5, 0.0, 0.5]).double(), atol=1e-6)


def test_a_cut_normal_stays_inside():
    made = cut_normal(torch.linspace(0, 1, 101).double(), -0.5, 1.3, -1.0, 2.0)
    assert made[0] == -1 and made[-1].item() == pytest.approx(2) and (made.diff() > 0).all()


@pytest.mark.parametrize("name", DATA)
class TestTraining:
    def test_it_minimises_the_error_of_v(self, name):
        data, x = DATA[name], images(DATA[name], 16)
        built = build(name, data, times="edm", **ALONE)
        u = built.times.draw(RNG.stratified("u", 16))
        values = built.flow.to_flow(x)
        output = built._output(built.flow.sample(values, u, RNG.at("theta")), u, built.encode(x).mean)
        error = ((1 + built.flow.beta(u)) * built.flow.squared_error(values, output).flatten(1).sum(1)).mean()
        terms = built.loss(x, RNG)
        assert set(terms.reported) & {"flow", "eps", "v"} == {"v"}
        assert terms.reported["v"].item() == pytest.approx(error.item(), rel=1e-5)
        assert terms.total.item() == pytest.approx(error.item() / data.n_dims, rel=1e-5)

    def test_dropped_images_count_by_the_squared_error_of_x(self, name):
        data, x = DATA[name], images(DATA[name], 16)
        built = build(name, data, times="edm", theta_dropout=1.0, **ALONE)
        prior, zero = built.flow.prior((16, *data.shape)), torch.zeros(16)
        output = built._output(prior, zero, built.encode(x).mean)
        error = built.flow.squared_error(built.flow.to_flow(x), output).flatten(1).sum(1).mean()
        assert built.loss(x, RNG).reported["v"].item() == pytest.approx(error.item(), rel=1e-5)

    def test_the_likelihood_stays_on_the_flows_own_terms(self, name):
        x = images(DATA[name], 16)
        first, second = (build(name, DATA[name], times=times).nll(x, RNG).total for times in ("uniform", "edm"))
        assert torch.equal(first, second)


class TestDiffusions:
    def test_the_nearest_times_are_found(self):
        schedule = Diffusion(1000, 1e-4, 0.02)
        t = torch.tensor([1, 2, 500, 999, 1000])
        exact = (schedule.noise[t].double() / schedule.signal[t].double()).log()
        assert torch.equal(schedule.nearest_times(exact), t)
        beyond = torch.tensor([-50.0, 50.0], dtype=torch.float64)
        assert schedule.nearest_times(beyond).tolist() == [1, 1000]

    @pytest.mark.parametrize("name", ["diffae", "info_diffusion", "encdiff"])
    def test_their_times_follow_the_same_density(self, name):
        built = build(name, dataset("digits"), parametrisation="v", times="edm", times_uniform=0.0)
        t = built._training_times(RNG.stratified("t", 20_000))
        log_sigma = built.diffusion.log_sigma[t - 1]
        for q in (0.05, 0.25, 0.5, 0.75, 0.95):
            assert torch.quantile(log_sigma, q).item() == pytest.approx(NORMAL.icdf(torch.tensor(q)).item(), abs=0.05)

    def test_a_share_stays_uniform(self):
        built = build("diffae", dataset("digits"), times="edm", times_uniform=0.3)
        uniform = RNG.stratified("t", 1000)
        t = built._training_times(uniform)[uniform >= 0.7].double()
        assert t.min() < 5 and t.max() > 995 and t.mean().item() == pytest.approx(500, abs=5)
        plain = build("diffae", dataset("digits"))
        assert torch.equal(plain._training_times(uniform), plain.diffusion.draw_times(uniform))

    def test_the_bound_does_not_know_the_times_of_training(self):
        x = images(dataset("digits"), 8)
        made = [
            build("diffae", dataset("digits"), parametrisation="v", times=t).nll(x, RNG).total
            for t in ("uniform", "edm")
        ]
        assert torch.equal(*made)


def test_a_centre_shifts_every_time_to_more_noise():
    flow, uniform = FLOWS["continuous"], RNG.stratified("u", 50)
    early, late = (edm(flow, times_uniform=0.0, times_centre=c).draw(uniform) for c in (-0.5, -0.5 + math.log(2)))
    assert (late <= early).all() and (late < early).sum() > 40
