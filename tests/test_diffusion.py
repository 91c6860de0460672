"""The noise schedule, DDIM both ways and the variational bound: identities, and an established library as oracle."""

import itertools
import math

import pytest
import torch

from baselines._diffusion import Diffusion
from baselines._latent_prior import LatentPrior
from paramrel.errors import UserError
from paramrel.method import method
from paramrel.networks import initialise
from paramrel.rng import Rng

RNG = Rng((0, "diffusion"))
SCHEDULES = [(1000, 1e-4, 0.02), (1000, 1e-5, 1e-2), (1000, 0.008, 0.008), (50, 1e-3, 0.2)]
MEAN, VARIANCE = 0.3, 0.25


def gaussian_eps(diffusion: Diffusion):
    """The exact noise predictor for data from N(MEAN, VARIANCE)."""

    def predict(x_t, t):
        signal, noise = (v[t].reshape(-1, *[1] * (x_t.ndim - 1)) for v in (diffusion.signal, diffusion.noise))
        return noise * (x_t - signal * MEAN) / (signal**2 * VARIANCE + noise**2)

    return predict


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_variance_is_preserved_and_signal_falls(schedule):
    diffusion = Diffusion(*schedule)
    assert torch.allclose(diffusion.signal**2 + diffusion.noise**2, torch.ones(schedule[0] + 1), atol=1e-6)
    assert diffusion.signal[0] == 1 and diffusion.noise[0] == 0
    assert (diffusion.signal.diff() < 0).all()
    assert diffusion.noise[1].item() == pytest.approx(math.sqrt(schedule[1]))


def test_the_official_schedule_leaves_eight_percent_of_the_signal():
    assert Diffusion(1000, 1e-5, 1e-2).signal[-1].item() == pytest.approx(0.081, abs=1e-3)
    assert Diffusion(1000, 1e-4, 0.02).signal[-1].item() < 0.0065


def test_the_true_noise_gives_the_image_back_at_every_time():
    diffusion = Diffusion(1000, 1e-4, 0.02)
    x, eps, t = RNG.normal("x", (1000, 3)), RNG.normal("e", (1000, 3)), torch.arange(1, 1001)
    assert torch.allclose(diffusion.clean(diffusion.diffuse(x, t, eps), t, eps), x, atol=2e-4)
    s = t - 1
    assert torch.allclose(
        diffusion.step(diffusion.diffuse(x, t, eps), t, s, eps), diffusion.diffuse(x, s, eps), atol=2e-4
    )


def test_v_and_eps_say_the_same():
    diffusion = Diffusion(1000, 1e-4, 0.02)
    x, eps, t = RNG.normal("x", (1000, 3)), RNG.normal("e", (1000, 3)), torch.arange(1, 1001)
    v = diffusion.v(x, t, eps)
    assert torch.equal(v, diffusion.diffuse(eps, t, -x)), "sqrt(abar) eps - sqrt(1 - abar) x_0"
    assert torch.allclose(diffusion.eps_of_v(diffusion.diffuse(x, t, eps), t, v), eps, atol=1e-5)


def test_drawn_times_are_uniform_over_1_to_T():
    times = Diffusion(10, 1e-3, 0.2).draw_times(RNG.stratified("u", 1000))
    assert torch.bincount(times, minlength=11).tolist() == [0] + 10 * [100]


def test_ddim_from_noise_gives_the_data_distribution():
    diffusion = Diffusion(1000, 1e-4, 0.02)
    x = diffusion.sample(gaussian_eps(diffusion), RNG.normal("x_T", (20_000, 1)), 200)
    assert x.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert x.var().item() == pytest.approx(VARIANCE, rel=0.05)


def test_inversion_then_sampling_returns_the_image_and_the_error_falls_with_steps():
    diffusion = Diffusion(1000, 1e-4, 0.02)
    predict, x = gaussian_eps(diffusion), MEAN + VARIANCE**0.5 * RNG.normal("x", (2000, 1))
    errors = []
    for n in (10, 50, 250, 1000):
        noise = diffusion.invert(predict, x, n)
        errors.append((diffusion.sample(predict, noise, n) - x).square().mean().sqrt().item())
    assert all(later < earlier / 2 for earlier, later in itertools.pairwise(errors)), errors
    assert errors[-1] < 5e-3
    assert noise.mean().abs() < 0.08 and noise.std().item() == pytest.approx(1, abs=0.05), "subcodes are N(0, I)"


def test_clipping_keeps_samples_in_range_and_changes_nothing_inside():
    diffusion = Diffusion(100, 1e-3, 0.1)
    x_t, eps, t = RNG.normal("x", (64, 3)), RNG.normal("e", (64, 3)), torch.full((64,), 80)
    free, clipped = (diffusion.step(x_t, t, t - 80, eps, clip=clip) for clip in (False, True))
    assert clipped.abs().max() <= 1 + 1e-6
    assert torch.allclose(clipped, free.clamp(-1, 1), atol=1e-6)


def log_normal(x, mean, variance):
    return -((x - mean).square() / variance + variance.log() + math.log(2 * math.pi)) / 2


def test_the_terms_add_up_to_the_bound():
    """E log q(x_1..x_T | x_0) - log p(x_0..x_T) along drawn paths of N(0, 1) data, every density written out."""
    schedule = (50, 1e-3, 0.2)
    diffusion = Diffusion(*schedule)
    betas = torch.linspace(*schedule[1:], schedule[0])
    abar = diffusion.signal**2
    x_0 = RNG.normal("x_0", (100_000, 1))
    x, path, terms = x_0, torch.zeros(len(x_0), 1), diffusion.prior_term(x_0)
    for t in range(1, schedule[0] + 1):
        beta, before = betas[t - 1], x
        x = (1 - beta).sqrt() * before + beta.sqrt() * RNG.at(t).normal("e", tuple(x.shape))
        guess = abar[t].sqrt() * x  # E[x_0 | x_t] for N(0, 1)
        if t == 1:
            mean, variance = guess, beta
            terms = terms - log_normal(x_0, guess, beta)[:, 0]
        else:
            keep = abar[t - 1].sqrt() * beta / (1 - abar[t])
            mean = keep * guess + (1 - beta).sqrt() * (1 - abar[t - 1]) / (1 - abar[t]) * x
            variance = (1 - abar[t - 1]) / (1 - abar[t]) * beta
            terms = terms + diffusion.bound_term(x_0, guess, torch.full((len(x),), t))
        path += log_normal(x, (1 - beta).sqrt() * before, beta) - log_normal(before, mean, variance)
    path -= log_normal(x, torch.zeros(()), torch.ones(()))
    difference = terms - path[:, 0]
    assert difference.mean().abs() < 4 * difference.std() / len(x_0) ** 0.5 < 0.05
    assert terms.mean() > 0.5 * math.log(2 * math.pi * math.e), "a bound lies above the entropy"


def test_bound_terms_are_the_kl_of_the_two_gaussians():
    """Against the posterior of arXiv 2006.11239, Eqs. 6 and 7, written out with alphas and betas."""
    n_times, t = 1000, 300
    diffusion = Diffusion(n_times, 1e-4, 0.02)
    betas = torch.linspace(1e-4, 0.02, n_times, dtype=torch.float64)
    abar = torch.cumprod(1 - betas, 0)
    beta, now, before = betas[t - 1], abar[t - 1], abar[t - 2]
    variance = (1 - before) / (1 - now) * beta
    x, guess = RNG.normal("x", (5, 4)), RNG.normal("g", (5, 4))
    shift = before.sqrt() * beta / (1 - now) * (x - guess)
    expected = (shift.square() / (2 * variance)).sum(1).float()
    assert torch.allclose(diffusion.bound_term(x, guess, torch.full((5,), t)), expected, rtol=1e-4)


def test_end_terms_are_probabilities_over_the_bins():
    diffusion, centres = Diffusion(1000, 1e-4, 0.02), torch.linspace(-1, 1, 17)
    guess = RNG.uniform("g", (6, 1)) * 2 - 1
    nll = torch.stack([diffusion.end_term(c.expand(6, 1), guess, centres) for c in centres])
    assert torch.allclose((-nll).exp().sum(0), torch.ones(6), atol=1e-4)


@pytest.mark.parametrize("settings", [{"n_times": 1000, "beta_last": 0.4}, {"n_times": 20000}])
def test_a_schedule_that_leaves_nothing_to_divide_by_is_an_error(settings):
    with pytest.raises(ValueError, match="of the signal, by which sampling would divide"):
        method("diffae").Config(**settings)


def test_more_steps_than_times_is_an_error():
    with pytest.raises(UserError, match="give 1 to 1000"):
        Diffusion(1000, 1e-4, 0.02).times(1001)
    assert Diffusion(1000, 1e-4, 0.02).times(7)[0] == 0


def test_a_latent_prior_learns_two_clusters():
    prior = LatentPrior(2, 32)
    initialise(prior, RNG)
    side = (RNG.uniform("side", (2000, 1)) < 0.5).float() * 8 - 4
    z = 10 + torch.cat((side, side), 1) + 0.5 * RNG.normal("z", (2000, 2))
    optimiser = torch.optim.AdamW(prior.parameters(), 3e-3)
    for step in range(200):
        loss = prior.loss(z[RNG.at(step).permutation("i", 2000)[:128]], RNG.at(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    prior.measure(z)
    with torch.no_grad():
        drawn = prior.sample(1000, RNG, 50) - 10
    assert torch.allclose(drawn.mean(0), torch.zeros(2), atol=0.8)
    assert (drawn[:, 0].sign() == drawn[:, 1].sign()).float().mean() > 0.95, "a Gaussian would have .93 here"
    assert (drawn.abs() > 2).float().mean() > 0.9, "a Gaussian would have .62 here"


class TestOracle:
    """Schedule and samplers against diffusers; CONTRIBUTING.md has the command that installs it."""

    @pytest.fixture
    def diffusers(self):
        return pytest.importorskip("diffusers", reason="diffusers is not installed: uv sync --group oracle")

    @pytest.mark.parametrize("schedule", SCHEDULES)
    def test_schedules_and_noised_images_agree(self, diffusers, schedule):
        ours, (n_times, first, last) = Diffusion(*schedule), schedule
        theirs = diffusers.DDPMScheduler(n_times, first, last, "linear")
        assert torch.allclose(ours.signal[1:] ** 2, theirs.alphas_cumprod, atol=1e-6)
        x, eps, t = RNG.normal("x", (n_times, 2)), RNG.normal("e", (n_times, 2)), torch.arange(1, n_times + 1)
        assert torch.allclose(ours.diffuse(x, t, eps), theirs.add_noise(x, eps, t - 1), atol=1e-5)

    @pytest.mark.parametrize("clip", [False, True])
    @pytest.mark.parametrize("n_steps", [10, 20, 1000])
    def test_ddim_samples_agree(self, diffusers, n_steps, clip):
        ours = Diffusion(1000, 1e-4, 0.02)
        theirs = diffusers.DDIMScheduler(
            1000, 1e-4, 0.02, "linear", clip_sample=clip, set_alpha_to_one=True, timestep_spacing="trailing"
        )
        theirs.set_timesteps(n_steps)
        predict = gaussian_eps(ours)
        x = x_T = RNG.normal("x_T", (16, 1, 4, 4))
        for time in theirs.timesteps:
            eps = predict(x, torch.full((16,), int(time) + 1))
            x = theirs.step(eps, int(time), x, eta=0.0, use_clipped_model_output=clip).prev_sample
        assert torch.allclose(ours.sample(predict, x_T, n_steps, clip=clip), x, atol=1e-4)

    @pytest.mark.parametrize("n_steps", [10, 20])
    def test_ddim_inversions_agree(self, diffusers, n_steps):
        ours = Diffusion(1000, 1e-4, 0.02)
        theirs = diffusers.DDIMInverseScheduler(
            1000, 1e-4, 0.02, "linear", clip_sample=False, set_alpha_to_one=True, timestep_spacing="trailing"
        )
        theirs.set_timesteps(n_steps)
        predict = gaussian_eps(ours)
        x = x_0 = RNG.normal("x_0", (16, 1, 4, 4))
        for time in theirs.timesteps:
            eps = predict(x, torch.full((16,), int(time) + 1))
            x = theirs.step(eps, int(time), x).prev_sample
        assert torch.allclose(ours.invert(predict, x_0, n_steps), x, atol=1e-4)

    def test_posterior_variances_agree(self, diffusers):
        ours = Diffusion(1000, 1e-4, 0.02)
        theirs = diffusers.DDPMScheduler(1000, 1e-4, 0.02, "linear", variance_type="fixed_small")
        for t in (2, 10, 500, 1000):
            abar = theirs.alphas_cumprod[t - 2]
            # the KL of two Gaussians of that variance whose means differ by sqrt(abar_{t-1}) beta_t/(1 - abar_t) dx
            shift = abar.sqrt() * theirs.betas[t - 1] / (1 - theirs.alphas_cumprod[t - 1])
            expected = shift.square() / (2 * theirs._get_variance(t - 1))
            assert ours.bound_weight[t].item() == pytest.approx(expected.item(), rel=2e-3)
