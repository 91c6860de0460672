"""Codes that are points: their prior is how they are scattered, whatever scale they have."""

import math

import pytest
import torch

from paramrel.data import dataset
from paramrel.errors import Unsupported
from paramrel.latent_usage import swaps
from paramrel.points import WIDTH, Scatter
from paramrel.rng import Rng
from tests.toys import build, images, train

RNG = Rng(("test points",))
POINTS = {
    "diffae": {"parametrisation": "v"},
    "info_diffusion": {"parametrisation": "v", "posterior": "point"},
    "paramrel_d": {"posterior": "point", "lambda_mmd": 0.0, "theta_dropout": 0.3},
}
every_point = pytest.mark.parametrize("name", POINTS)


@pytest.fixture(scope="module")
def trained():
    data = dataset("digits_binarized")
    found = {name: train(build(name, data, **config), 250) for name, config in POINTS.items()}
    for built in found.values():
        built.finish(data.evaluation_images("train")[0], RNG.at("finish"))
    return found


def test_the_kl_of_a_widened_point_is_that_of_two_gaussians():
    scatter = Scatter(3)
    codes = 5 + RNG.normal("codes", (500, 3)) * torch.tensor([0.1, 1.0, 10.0])
    scatter.measure(codes)
    prior = torch.distributions.Normal(codes.mean(0), codes.std(0, correction=0))
    posterior = torch.distributions.Normal(codes, WIDTH * codes.std(0, correction=0))
    drawn, kl = scatter.widen(codes, RNG.normal("eps", (500, 3)))
    assert torch.allclose(kl, torch.distributions.kl_divergence(posterior, prior).sum(1), rtol=1e-4)
    assert torch.allclose(((drawn - codes) / posterior.stddev).std(0), torch.ones(3), atol=0.1)
    assert kl.mean().item() == pytest.approx(3 * (math.log(1 / WIDTH) + WIDTH**2 / 2), rel=1e-3)


def test_a_latent_that_is_constant_costs_a_finite_kl():
    scatter = Scatter(2)
    scatter.measure(torch.ones(10, 2))
    assert torch.isfinite(scatter.widen(torch.ones(4, 2), torch.ones(4, 2))[1]).all()


@every_point
def test_the_prior_is_where_codes_are(trained, name):
    built, x = trained[name], images(trained[name].data, 350)
    with torch.no_grad():
        z = built.encode(x).mean
        drawn = built.draw_codes(350, RNG.at("drawn"), 20)
        swap = swaps(built, 350, RNG.at("swap"))
    spread = z.std(0).clamp_min(0.05)
    assert ((built.code_mean - z.mean(0)).abs() < 0.5 * spread).all()
    assert ((drawn.mean(0) - z.mean(0)).abs() < 0.8 * spread).all() and 0.4 < (drawn.std(0) / spread).mean() < 2
    assert torch.equal(swap["mean"](z)[0], built.code_mean)
    assert ((swap["prior"](z).mean(0) - z.mean(0)).abs() < 0.8 * spread).all()


@every_point
def test_the_bound_is_a_bound_and_does_not_depend_on_the_scale_of_codes(trained, name):
    """A fair coin per pixel costs 44 nats; no model of 8x8 digits needs less than 12."""
    built, x = trained[name], images(trained[name].data, 350)
    with torch.no_grad():
        nll = built.nll(x, RNG)
    assert 12 < nll.total.mean() < 2000
    expected = built.net.latent_dim * (math.log(1 / WIDTH) + WIDTH**2 / 2)
    assert nll.kl.mean().item() == pytest.approx(expected, rel=0.2), "that of codes whose moments are the scatter's"


@every_point
def test_one_step_from_z_alone_shows_the_image(trained, name):
    built, x = trained[name], images(trained[name].data, 350)
    with torch.no_grad():
        z = built.encode(x).mean
        own, other, again = built.decode(z), built.decode(z.roll(1, 0)), built.decode(z[:3])
    assert ((own >= 0) & (own <= 1)).all() and torch.allclose(own[:3], again, atol=1e-5), "no draw per image"
    assert (own - x).square().mean() < 0.8 * (other - x).square().mean()
    assert (own - x).square().mean() < (x.mean(0) - x).square().mean(), "better than the mean image"


def test_a_predictor_of_the_noise_decodes_nothing_from_z_alone():
    built = build("diffae", dataset("digits_binarized"), parametrisation="eps")
    with pytest.raises(Unsupported, match="noise does not say"):
        built.decode(torch.zeros(2, built.net.latent_dim))


@pytest.mark.parametrize("posterior", ["point", "gaussian"])
def test_a_code_made_of_the_theta_that_is_decoded_costs_nothing(posterior):
    """z_source self: internal noise of the receiver, so no KL, and at u = 1 too it sees the theta that the decoder
    sees."""
    data = dataset("digits_binarized")
    built, seen = build("paramrel_d", data, posterior=posterior, z_source="self"), []
    for part in (built.encoder, built.decoder):
        part.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        nll = built.nll(images(data, 32), RNG)
    assert (nll.kl == 0).all()
    # encoder at u, encoder at 1, decoder at 1, decoder at u: both read the same theta
    assert len(seen) == 4 and torch.equal(seen[1], seen[2][:, : seen[1].shape[1]])
    assert torch.equal(seen[0], seen[3][:, : seen[0].shape[1]])
