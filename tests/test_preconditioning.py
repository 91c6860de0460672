"""Preconditioning by a Gaussian model of the images, through the methods that have it (the model: test_spectrum.py)."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from paramrel.checkpoint import load_weights, save_weights
from paramrel.data import dataset
from paramrel.errors import UserError
from paramrel.method import Method, method
from paramrel.rng import Rng
from paramrel.spectrum import Spectrum
from tests.toys import BinnedDigits, build, images

RNG = Rng((0, "preconditioning"))
GREY = {
    "paramrel_c": dataset("digits"),
    "paramrel_discretised": BinnedDigits(),
    "diffae": dataset("digits"),
    "info_diffusion": dataset("digits"),
    "encdiff": dataset("digits"),
}
BINARY = {"paramrel_d": dataset("digits_binarized")}
ALL = GREY | BINARY
every_method = pytest.mark.parametrize("name", ALL)
grey_method = pytest.mark.parametrize("name", GREY)


def made(name: str, stir: float = 0.1, measured: bool = True, **settings) -> Method:
    """A method with a model of the training images."""
    v = {} if name.startswith("paramrel") else {"parametrisation": "v"}
    built = build(name, ALL[name], stir=stir, **{"precondition": "spectrum"} | v | settings)
    if measured:
        built.fit(ALL[name].evaluation_images("train")[0], RNG.at("fit"))
    return built


def linear_posterior(model: Spectrum, y: Tensor, signal: float, noise: float) -> Tensor:
    """E[x | y] of y = a x + s e for x ~ N(m, T' S T), by a dense solve in float64; (N, 64)."""
    transform = torch.kron(model.rows.double(), model.columns.double())
    covariance = transform.T @ torch.diag(model.variance.double().flatten()) @ transform
    seen, mean = y.double().flatten(1), model.mean.double().flatten()
    total = signal**2 * covariance + noise**2 * torch.eye(64, dtype=torch.float64)
    return mean + (signal * covariance @ torch.linalg.solve(total, (seen - signal * mean).T)).T


def estimate(built: Method, x: Tensor, u: float) -> tuple[Tensor, Tensor]:
    """x-hat of the network at flow time (or t = 1 - u) for noisy x, and the exact one of the model, both (N, 64)."""
    z, n = torch.zeros(len(x), built.net.latent_dim), len(x)
    if not built.name.startswith("paramrel"):
        t = torch.full((n,), round(1000 * (1 - u)))
        noisy = built.diffusion.diffuse(2 * x - 1, t, RNG.normal("eps", tuple(x.shape)))
        xhat = built.diffusion.clean(noisy, t, built._eps(noisy, t, z))
        signal, noise = built.diffusion.signal[t[0]].item(), built.diffusion.noise[t[0]].item()
        return xhat.flatten(1), linear_posterior(built.spectrum, noisy, signal, noise)
    time, flow = torch.full((n,), u), built.flow
    state = flow.sample(flow.to_flow(x), time, RNG)
    output = built._output(state, time, z)
    v, kappa = flow.to_v(state, time), flow.kappa(time)[0].item()
    xhat = output.mean if hasattr(output, "mean") and not isinstance(output, Tensor) else flow.direction(output)
    return xhat.flatten(1), linear_posterior(built.spectrum, v, kappa, 1.0)


@every_method
@pytest.mark.parametrize("u", [0.05, 0.5, 0.95])
def test_output_0_is_the_exact_linear_posterior_mean(name, u):
    with torch.no_grad():
        xhat, exact = estimate(made(name, stir=0.0), images(ALL[name], 20), u)
    if name == "paramrel_d":
        exact = exact.clamp(-0.998, 0.998)  # as chances of .001 to .999
    if name == "paramrel_c":
        exact = exact.clamp(-1, 1)
    assert torch.allclose(xhat.double(), exact, atol=2e-3) and exact.std() > 0.1


@grey_method
@pytest.mark.parametrize("times", ["uniform", "edm"])
@pytest.mark.parametrize("kind", ["scalar", "spectrum"])
def test_a_model_with_variance_1_and_mean_0_is_mix(name, times, kind):
    x = images(ALL[name], 16)
    with torch.no_grad():
        plain, model = (made(name, measured=False, times=times, precondition=p) for p in ("none", kind))
        if not name.startswith("paramrel"):  # v is minus the output there
            model.decoder.out.weight *= -1
        ours, theirs = (built.loss(x, RNG).total for built in (model, plain))
    assert torch.allclose(ours, theirs, rtol=1e-4)


@every_method
@pytest.mark.parametrize("where", ["output", "input", "both"])
class TestUses:
    def test_every_term_and_image_is_finite_at_both_ends(self, name, where):
        built, x = made(name, estimate=where, times="edm"), images(ALL[name], 16)
        terms = built.loss(x, RNG)
        terms.total.backward()
        assert torch.isfinite(terms.total)
        assert all(torch.isfinite(p.grad).all() for p in built.parameters() if p.grad is not None)
        with torch.no_grad():
            z = built.encode(x).mean
            shown = [built.sample(4, RNG, 3), built.generate(z, RNG, 3), built.reconstruct(x, z), built.decode(z)]
            assert torch.isfinite(built.nll(x, RNG).total).all()
        assert all(torch.isfinite(one).all() and one.min() >= 0 and one.max() <= 1 for one in shown)

    def test_the_decoder_sees_the_estimate_where_it_is_asked_for(self, name, where):
        built, plain = made(name, estimate=where), made(name, precondition="none")
        widths = [model.decoder.down.conv_in.in_channels for model in (built, plain)]
        assert widths[0] - widths[1] == (where != "output")

    def test_weights_carry_the_model(self, name, where, tmp_path):
        built, again = (made(name, estimate=where, measured=measured) for measured in (True, False))
        x = images(ALL[name], 8)
        with torch.no_grad():
            before = again.nll(x, RNG).total
            save_weights(tmp_path / "weights.safetensors", built)
            load_weights(tmp_path / "weights.safetensors", again)
            assert torch.equal(built.nll(x, RNG).total, again.nll(x, RNG).total)
        assert not torch.equal(before, again.nll(x, RNG).total)


@pytest.mark.parametrize("name", ["paramrel_c", "paramrel_discretised"])
class TestGaussianFlows:
    def test_the_model_is_read_in_float32_whatever_the_autocast(self, name):
        flow, data = made(name).flow, ALL[name]
        x, u = flow.to_flow(images(data, 8)), torch.linspace(0, 1, 8)
        state, out = flow.sample(x, u, RNG), RNG.normal("out", (8, flow.channels(1)[2], 8, 8))
        plain = flow.direction(flow.output(out, state, u)), flow.decoder_input(state, u)
        with torch.autocast("cpu", torch.bfloat16):
            cast = flow.direction(flow.output(out, state, u)), flow.decoder_input(state, u)
        assert all(torch.equal(a, b) and a.dtype == torch.float32 for a, b in zip(plain, cast, strict=True))

    def test_at_the_data_theta_is_believed_and_at_the_prior_the_mean_image(self, name):
        built, x = made(name, stir=0.0), images(ALL[name], 8)
        flow, z = built.flow, torch.zeros(8, built.net.latent_dim)
        one, zero = torch.ones(8), torch.zeros(8)
        values = flow.to_flow(x)
        with torch.no_grad():
            late = flow.direction(built._output(flow.mean_state(values, one), one, z))
            early = flow.direction(built._output(flow.prior(tuple(x.shape)), zero, z))
        assert (late - values).abs().max() < 0.1
        if name == "paramrel_c":
            assert torch.allclose(early, built.spectrum.mean.expand(8, -1, -1, -1).clamp(-1, 1), atol=1e-5)

    def test_edm_times_weigh_by_the_models_own_variance(self, name):
        """The weighted error is 1 per dimension on average where the images are the model's and the output is 0."""
        built = made(name)
        u = torch.linspace(0, 1, 11)
        weight = built.flow.error_weight(u)
        variance = built.spectrum.variance.double().flatten()
        gamma, rest = built.flow.gamma(u).double()[:, None], built.flow.variance(u).double()[:, None]
        left = (variance * rest / (gamma * variance + rest)).mean(1)
        assert torch.allclose(weight.double() * left, torch.ones(11, dtype=torch.float64), rtol=1e-3)


def test_a_deviation_of_the_discretised_output_is_that_of_the_pixel():
    built = made("paramrel_discretised", stir=0.0)
    u, model = torch.tensor([0.3]), built.spectrum
    output = built.flow.output(torch.zeros(1, 2, 8, 8), built.flow.prior((1, 1, 8, 8)), u)
    transform = torch.kron(model.rows.double(), model.columns.double())
    gamma, rest = built.flow.gamma(u).double(), built.flow.variance(u).double()
    variance = model.variance.double().flatten()
    covariance = transform.T @ torch.diag(variance * rest / (gamma * variance + rest)) @ transform
    assert torch.allclose(output.std.double().flatten(), covariance.diagonal().sqrt().clamp_min(1e-3), rtol=1e-3)


def test_the_averaged_copy_of_a_method_has_a_model_of_its_own():
    built = made("paramrel_c", estimate="both", times="edm")
    copy = deepcopy(built)
    assert copy.flow.output_model is copy.flow.input_model is copy.spectrum is not built.spectrum
    assert copy.times.flow is copy.flow and copy.source_of_codes.flow is copy.flow


def test_binary_images_start_from_the_models_chances():
    built, x = made("paramrel_d", stir=0.0), images(BINARY["paramrel_d"], 200)
    flow, u = built.flow, torch.full((200,), 0.3)
    state = flow.sample(flow.to_flow(x), u, RNG)
    with torch.no_grad():
        ours = flow.reconstruction_nll(flow.to_flow(x), built._output(state, u, torch.zeros(200, 8))).mean()
    assert ours < 0.5, "a coin costs .69"


@pytest.mark.parametrize("name", ["paramrel_c", "paramrel_discretised", "paramrel_d"])
def test_a_flow_without_memory_shows_the_model_what_it_heard(name):
    """Up to the first of 3 steps nothing was forgotten, so the output is that of the flow itself."""
    x = images(ALL[name], 8)
    bayes, forgets = (made(name, update=update, n_updates=3, estimate="both") for update in ("bayes", "last_sample"))
    u, z = torch.full((8,), 0.2), torch.zeros(8, 8)
    with torch.no_grad():
        states = [built.flow.sample(built.flow.to_flow(x), u, RNG) for built in (bayes, forgets)]
        first, second = (b.flow.direction(b._output(s, u, z)) for b, s in zip((bayes, forgets), states, strict=True))
        assert torch.allclose(first, second, atol=1e-3)
        assert torch.isfinite(forgets.loss(x, RNG).total)


def test_more_than_two_classes_have_no_such_model():
    with pytest.raises(UserError, match="17 classes per pixel.*precondition to none"):
        build("paramrel_d", dataset("digits"), precondition="spectrum")


@pytest.mark.parametrize(
    ("name", "settings"),
    [("paramrel_c", {"parametrisation": "x"}), ("diffae", {"parametrisation": "eps"}), ("paramrel_mixed", {})],
)
def test_settings_that_contradict_it_are_refused(name, settings):
    with pytest.raises(ValueError, match="precondition: spectrum"):
        method(name).Config(precondition="spectrum", **settings)
