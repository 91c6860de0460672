"""ParamReL's objective and what its switches do, for every flow."""

import pytest
import torch

from paramrel.data import dataset
from paramrel.divergences import kl_standard_normal
from paramrel.rng import Rng
from tests.toys import BinnedDigits, Repeated, build, images

RNG = Rng((0, "paramrel"))
DATA = {
    "paramrel_d": dataset("digits_binarized"),
    "paramrel_c": dataset("digits"),
    "paramrel_discretised": BinnedDigits(),
}
every_flow = pytest.mark.parametrize("name", DATA)


@every_flow
@pytest.mark.parametrize("path", ["independent", "joint"])
@pytest.mark.parametrize("kernel", ["rbf", "infodiffusion"])
def test_a_repeated_batch_changes_no_term(name, path, kernel):
    settings = {"path": path, "kernel": kernel, "theta_dropout": 0.3, "gamma": 0.5, "lambda_mmd": 2.0}
    built, x = build(name, DATA[name], **settings), images(DATA[name], 16)
    once = built.loss(x, Rng((0, "doubled")))
    twice = built.loss(x.repeat(2, 1, 1, 1), Repeated((0, "doubled")))
    assert torch.allclose(once.total, twice.total, rtol=1e-5)
    for key, value in once.reported.items():
        assert torch.allclose(value, twice.reported[key], rtol=1e-4, atol=1e-6), key


@every_flow
def test_the_total_is_per_dimension_with_the_papers_weights(name):
    built, x = build(name, DATA[name], gamma=0.25, lambda_mmd=3.0), images(DATA[name], 16)
    terms = built.loss(x, RNG)
    flow, kl, mmd = (terms.reported[key] for key in ("flow", "kl", "mmd"))
    assert torch.allclose(terms.total, (flow + 0.75 * kl) / 64 + 2.25 * mmd, rtol=1e-5)


@every_flow
def test_the_gradient_of_the_kl_pulls_codes_to_the_prior(name):
    # MMD weight gamma + lambda - 1 = 0 in both; what differs is the KL with weight 1 - gamma
    gradients = []
    for gamma, lambda_mmd in ((1.0, 0.0), (0.0, 1.0)):
        built = build(name, DATA[name], gamma=gamma, lambda_mmd=lambda_mmd)
        d = built.net.latent_dim
        with torch.no_grad():
            built.encoder.out.bias[:d], built.encoder.out.bias[d:] = 3.0, -2.0
        built.loss(images(DATA[name], 16), RNG).total.backward()
        gradients.append(built.encoder.out.bias.grad)
    pull = gradients[1] - gradients[0]
    assert (pull[:d] > 0).all(), "a descent step must lower a mean of 3"
    assert (pull[d:] < 0).all(), "a descent step must raise a log-variance of -2"


@every_flow
def test_the_mmd_pulls_codes_to_the_prior(name):
    gradients = []
    for lambda_mmd in (0.0, 10.0):
        built = build(name, DATA[name], lambda_mmd=lambda_mmd)
        with torch.no_grad():
            built.encoder.out.bias[: built.net.latent_dim] = 1.0
        built.loss(images(DATA[name], 32), RNG).total.backward()
        gradients.append(built.encoder.out.bias.grad[: built.net.latent_dim])
    assert (gradients[1] - gradients[0]).mean() > 0


@every_flow
def test_hidden_theta_leaves_the_decoder_the_code_alone(name):
    data = DATA[name]
    built, x = build(name, data, theta_dropout=1.0, z_source="data"), images(data, 16)
    terms = built.loss(x, RNG)
    u = RNG.stratified("u", 16)
    one = torch.ones(16)
    mean, log_var = built._posterior(built.flow.sample(built.flow.to_flow(x), one, RNG.at("ahead")), one)
    z = mean + (log_var / 2).exp() * RNG.normal("z", tuple(mean.shape))
    prior, zero, hidden = built.flow.prior((16, *data.shape)), torch.zeros(16), torch.ones(16, dtype=torch.bool)
    loss = built.flow.loss(built.flow.to_flow(x), built._output(prior, zero, z), u, hidden).flatten(1).sum(1)
    assert torch.allclose(terms.reported["flow"], loss.mean(), rtol=1e-5)


@every_flow
def test_the_encoders_see_what_their_names_say(name):
    data = DATA[name]
    x, rng = images(data, 8), RNG.at("encoders")
    time = torch.full((8,), 0.4)
    for encoder, sees_time in (("progressive", True), ("vanilla", False), ("static", False)):
        built = build(name, data, encoder=encoder)
        theta = built.flow.sample(built.flow.to_flow(x), time, rng)
        early, late = built._posterior(theta, time)[0], built._posterior(theta, time + 0.5)[0]
        assert torch.equal(early, late) != sees_time
        source, s = built.source_of_codes.draw(built.flow.to_flow(x), theta, time, rng)
        clean = torch.equal(source, built.flow.mean_state(built.flow.to_flow(x), torch.ones(8)))
        assert clean == (encoder == "static") and (s >= time).all()


@every_flow
def test_the_bound_counts_the_kl_only_where_one_code_serves_all_times(name):
    x = images(DATA[name], 8)
    published = build(name, DATA[name], z_source="self").nll(x, RNG)
    ahead = build(name, DATA[name], z_source="ahead")
    bound, codes = ahead.nll(x, RNG), ahead.encode(x)
    assert (published.kl == 0).all() and (bound.kl > 0).all()
    at_data = kl_standard_normal(codes.mean, 2 * codes.std.log())
    assert torch.allclose(bound.kl, at_data, rtol=0.5), "the KL of q(z | x), here from a noisy theta_1"


@every_flow
@pytest.mark.parametrize("z_mode", ["once", "per_step", "self"])
def test_every_z_mode_samples_images(name, z_mode):
    built = build(name, DATA[name])
    with torch.no_grad():
        made = built.sample(4, RNG, 3, z_mode)
        assert made.shape == (4, 1, 8, 8) and made.min() >= 0 and made.max() <= 1
        assert torch.equal(made, built.sample(4, RNG, 3, z_mode))
        assert not torch.equal(made, built.sample(4, RNG.at("other"), 3, z_mode))


def test_codes_come_from_the_times_that_z_source_says():
    data, n = DATA["paramrel_d"], 400
    x, u = images(data, 300)[:1].repeat(n, 1, 1, 1), RNG.stratified("u", n)
    for source in ("self", "ahead", "data"):
        built = build("paramrel_d", data, z_source=source)
        values = built.flow.to_flow(x)
        theta = built.flow.sample(values, u, RNG.at("theta"))
        _, s = built.source_of_codes.draw(values, theta, u, RNG)
        if source == "ahead":
            share = (s - u) / (1 - u)
            assert (s >= u).all() and share.mean().item() == pytest.approx(0.5, abs=0.06)
        else:
            assert torch.equal(s, u if source == "self" else torch.ones(n))
