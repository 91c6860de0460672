"""The Gaussian model of images: its transform, its posterior against a dense solve, and what is kept of it."""

import numpy as np
import pytest
import torch

from paramrel import spectrum
from paramrel.flows import ContinuousFlow
from paramrel.flows._base import expand
from paramrel.rng import Rng
from paramrel.spectrum import Spectrum, dct_matrix, principal_axes

RNG = Rng(("spectrum",))
SHAPES = [(1, 6, 5), (3, 4, 4), (3, 5, 2)]
SIGMA_1 = 1e-3
FLOW = ContinuousFlow(SIGMA_1, (0.0, 0.5, 1.0), "mix")


def smooth_images(shape, n=300):
    """Neighbours that are alike, colours that go together, a mean that is not constant; numpy in [0, 1]."""
    x = RNG.normal(f"images {shape}", (n, *shape)).cumsum(-1).cumsum(-2)
    x = x + x.mean(1, keepdim=True) + torch.linspace(-1, 2, shape[-1])
    return torch.sigmoid(x / 3).numpy()


def fitted(shape, kind="spectrum"):
    model = Spectrum(kind, shape)
    model.measure(smooth_images(shape), RNG)
    return model


def dense(model, shape):
    """T as a matrix, (D, D), whose rows are coefficients; float64."""
    basis = torch.eye(int(np.prod(shape))).reshape(-1, *shape)
    parts = (model.colours, model.rows, model.columns)
    return spectrum._transform(basis, *parts).flatten(1).double().numpy().T


def posterior(model, shape, y, a, s):
    """Mean and covariance of x given y = a x + s e by a dense solve with the model's covariance."""
    transform = dense(model, shape)
    mean = model.mean.flatten().double().numpy()
    covariance = transform.T @ np.diag(model.variance.flatten().double().numpy()) @ transform
    gain = np.linalg.solve(a**2 * covariance + s**2 * np.eye(len(mean)), a * covariance).T
    return mean + gain @ (y - a * mean), covariance - a * gain @ covariance


@pytest.mark.parametrize("n", [1, 2, 5, 8, 13])
def test_the_dct_is_orthonormal_and_its_first_row_is_the_mean(n):
    matrix = dct_matrix(n)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(n, dtype=torch.float64))
    torch.testing.assert_close(matrix @ torch.ones(n).double(), torch.eye(n)[0].double() * n**0.5)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_whole_transform_is_orthonormal(shape):
    transform = dense(fitted(shape), shape)
    np.testing.assert_allclose(transform @ transform.T, np.eye(len(transform)), atol=1e-6)


def test_colours_are_rotated_to_the_axes_of_the_pixels():
    covariance = torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.5]]).double()
    axes = principal_axes(covariance)
    torch.testing.assert_close(axes @ covariance @ axes.T, torch.diag(torch.tensor([3.0, 1.0, 0.5])).double())
    assert (axes.gather(1, axes.abs().argmax(1, keepdim=True)) > 0).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("a", "s"), [(0.1, 1.0), (0.8, 0.6), (1.0, 0.01)])
def test_output_0_gives_the_posterior_mean_of_a_dense_solve(shape, a, s):
    model = fitted(shape)
    y = RNG.normal("y", (2, *shape))
    signal, noise = torch.full((2,), a**2), torch.full((2,), s**2)
    found = model.estimate(torch.zeros_like(y), a * y, signal, noise)
    for row, seen in zip(found, y, strict=True):
        mean, covariance = posterior(model, shape, seen.flatten().double().numpy(), a, s)
        np.testing.assert_allclose(row.flatten(), mean, atol=2e-5)
    deviation = model.deviation(signal, noise)[0].flatten()
    np.testing.assert_allclose(deviation, np.sqrt(np.diag(covariance)), rtol=1e-3)


def test_standard_normal_output_has_the_posteriors_covariance():
    shape, n = (3, 4, 4), 20_000
    model, power = fitted(shape), torch.full((n,), 0.5)
    spread = model.spread(RNG.normal("out", (n, *shape)), power, power).flatten(1).double().numpy()
    _, covariance = posterior(model, shape, np.zeros(48), 0.5**0.5, 0.5**0.5)
    np.testing.assert_allclose(np.cov(spread.T), covariance, atol=0.06 * covariance.max())


@pytest.mark.parametrize("a_squared", [0.02, 0.5, 0.99])
def test_the_error_on_images_of_the_model_is_what_the_weight_says(a_squared):
    shape, n = (3, 5, 4), 4000
    model = fitted(shape)
    one, zero = torch.ones(n), torch.zeros(n)
    x = model.mean + model.spread(RNG.normal("c", (n, *shape)), zero, one)  # at signal 0, V = S: images of the model
    signal, noise = a_squared * one, (1 - a_squared) * one
    y = a_squared**0.5 * x + (1 - a_squared) ** 0.5 * RNG.normal("e", (n, *shape))
    error = (model.posterior_mean(a_squared**0.5 * y, signal, noise) - x).square().flatten(1).mean(1)
    assert (error * model.loss_weight(signal, noise)).mean().item() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("kind", ["none", "scalar", "spectrum"])
def test_a_model_that_knows_nothing_is_mix(kind):
    shape, u = (3, 4, 5), torch.tensor([0.0, 0.3, 0.9, 1.0])
    model, x = Spectrum(kind, shape), RNG.normal("x", (4, 3, 4, 5)).clamp(-1, 1)
    mu, out = FLOW.sample(x, u, RNG), RNG.normal("out", (4, *shape))
    gamma, variance = FLOW.gamma(u), FLOW.variance(u)
    torch.testing.assert_close(model.estimate(out, mu, gamma, variance), FLOW.estimate(out, mu, u), rtol=0, atol=5e-6)
    torch.testing.assert_close(
        model.deviation(gamma, variance).expand_as(x), expand(variance.sqrt(), x).expand_as(x), rtol=1e-5, atol=0
    )
    torch.testing.assert_close(model.loss_weight(gamma, variance), 1 + FLOW.beta(u), rtol=1e-4, atol=0)


@pytest.mark.parametrize("kind", ["none", "scalar", "spectrum"])
def test_flow_diffusion_and_v_are_one_form(kind):
    shape, u = (1, 6, 5), torch.tensor([0.05, 0.4])
    model, out = fitted(shape, kind), RNG.normal("out", (2, 1, 6, 5))
    mu, gamma, variance = RNG.normal("mu", (2, *shape)), FLOW.gamma(u), FLOW.variance(u)
    flow = model.estimate(out, mu, gamma, variance)
    x_t = mu / expand(gamma.sqrt(), mu)  # abar = gamma
    diffusion = model.estimate(out, expand(gamma.sqrt(), mu) * x_t, gamma, 1 - gamma)
    kappa = FLOW.kappa(u)
    v = model.estimate(out, expand(kappa, mu) * FLOW.to_v(mu, u), kappa**2, torch.ones(2))
    torch.testing.assert_close(diffusion, flow, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(v, flow, rtol=1e-4, atol=1e-4)


def test_scalar_is_the_preconditioning_of_edm():
    shape = (3, 4, 4)
    model, images = fitted(shape, "scalar"), smooth_images(shape)
    data, sigma = np.sqrt(np.mean((2.0 * images - 1) ** 2)), 0.7
    y, out = RNG.normal("y", (1, *shape)), RNG.normal("out", (1, *shape))
    total = data**2 + sigma**2
    expected = data**2 / total * y + sigma * data / total**0.5 * out
    found = model.estimate(out, y, torch.ones(1), torch.full((1,), sigma**2))
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["none", "scalar", "spectrum"])
def test_the_ends_are_finite_and_right(kind):
    shape = (3, 5, 4)
    model = fitted(shape, kind)
    if kind == "spectrum":
        model.variance[0] = 0  # a coefficient that never varies
    x, out = RNG.normal("x", (2, *shape)), RNG.normal("out", (2, *shape)).requires_grad_()
    zero, one = torch.zeros(2), torch.ones(2)
    nothing_seen = model.estimate(out, torch.zeros_like(x), zero, one)  # u = 0
    torch.testing.assert_close(nothing_seen, model.mean + model.spread(out, zero, one))
    nearly_all = model.estimate(out, x * FLOW.gamma(one)[0], FLOW.gamma(one), FLOW.variance(one))  # u = 1
    all_seen = model.estimate(out, x, one, zero)  # t = 0 of a diffusion
    if kind != "spectrum":
        torch.testing.assert_close(all_seen, x)
    for found in (nothing_seen, nearly_all, all_seen, model.deviation(one, zero), model.loss_weight(one, zero)):
        assert torch.isfinite(found).all()
    (nothing_seen.sum() + nearly_all.sum() + all_seen.sum()).backward()
    assert torch.isfinite(out.grad).all()


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_constant_images_keep_a_variance(dtype):
    model = Spectrum("spectrum", (3, 4, 4))
    model.measure(np.ones((10, 3, 4, 4), dtype), RNG)
    assert torch.equal(model.mean, torch.ones(3, 4, 4))
    assert (model.variance > 0).all() and model.variance.max() < 1e-5


@pytest.mark.parametrize("shape", SHAPES)
def test_chunks_give_what_all_images_at_once_give(shape, monkeypatch):
    images = smooth_images(shape).astype(np.float64)
    monkeypatch.setattr(spectrum, "CHUNK", 7)
    model = fitted(shape)
    x = 2 * images - 1
    np.testing.assert_allclose(model.mean, x.mean(0), atol=1e-6)
    centred = x - model.mean.double().numpy()
    coefficients = centred.reshape(len(x), -1) @ dense(model, shape).T
    np.testing.assert_allclose(model.variance.flatten(), (coefficients**2).mean(0), rtol=1e-5)
    if shape[0] == 3:
        colours = centred.transpose(0, 2, 3, 1).reshape(-1, 3) @ model.colours.double().numpy().T
        products = colours.T @ colours
        np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-5 * products.max())


def test_a_large_set_is_measured_in_part_and_the_same_part(monkeypatch):
    monkeypatch.setattr(spectrum, "N_MEASURED", 50)
    shape, seen = (1, 6, 5), []
    average = spectrum._average
    monkeypatch.setattr(
        spectrum, "_average", lambda images, chosen, f: seen.append(chosen) or average(images, chosen, f)
    )
    first, second = fitted(shape), fitted(shape)
    assert all(np.array_equal(seen[0], chosen) and len(np.unique(chosen)) == 50 for chosen in seen)
    assert torch.equal(first.variance, second.variance)


def test_what_is_measured_is_kept_with_the_weights():
    shape = (3, 5, 4)
    model, other = fitted(shape), Spectrum("spectrum", shape)
    other.load_state_dict(model.state_dict())
    assert set(model.state_dict()) == {"mean", "variance", "colours"}
    out, power = RNG.normal("out", (1, *shape)), torch.tensor([0.5])
    assert torch.equal(other.estimate(out, out, power, power), model.estimate(out, out, power, power))
    assert set(Spectrum("scalar", shape).state_dict()) == {"mean", "variance"}
    assert not Spectrum("none", shape).state_dict()  # as networks without it: old weights fit


@pytest.mark.parametrize("kind", ["none", "scalar", "spectrum"])
def test_autocast_changes_nothing(kind):
    shape = (3, 5, 4)
    model, x, power = fitted(shape, kind), RNG.normal("x", (2, *shape)), torch.tensor([0.5, 1.0])
    plain = model.estimate(x, x, power, 1 - power), model.deviation(power, 1 - power)
    with torch.autocast("cpu", torch.bfloat16):
        cast = model.estimate(x, x, power, 1 - power), model.deviation(power, 1 - power)
    for a, b in zip(plain, cast, strict=True):
        assert a.dtype == torch.float32 and torch.equal(a, b)
