"""DiffAE: a diffusion model whose noise predictor sees a semantic code of the image (arXiv 2111.15640)."""

import math
from typing import ClassVar, Literal, TypeVar, cast

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from baselines._diffusion import Diffusion, at
from baselines._latent_prior import LatentPrior
from paramrel.attention import mean_shares, recorded_shares
from paramrel.data import DataSet
from paramrel.errors import Unsupported
from paramrel.method import Codes, LossTerms, Method, Nll, Swap
from paramrel.networks import Encoder, UNet, budget, matched, n_parameters
from paramrel.noise import NOISES, point, sigma
from paramrel.points import some_of
from paramrel.preconditioning import PreconditioningConfig
from paramrel.rng import Rng
from paramrel.settings import Network
from paramrel.times import TimesConfig, cut_normal, split

LEAST_SIGNAL = 1e-12
"""Smallest abar_T: its root divides float32 numbers."""


class DiffAeConfig(TimesConfig, PreconditioningConfig):
    """Settings of the diffusion."""

    later: ClassVar[tuple[str, ...]] = ("times",)

    n_times: int = Field(1000, ge=2)
    """T."""
    beta_first: float = Field(1e-4, gt=0, lt=1)
    """beta_1 of the linear schedule (arXiv 2006.11239; the official InfoDiffusion code has 1e-5)."""
    beta_last: float = Field(0.02, gt=0, lt=1)
    """beta_T (the official InfoDiffusion code has 1e-2)."""
    parametrisation: Literal["eps", "v"] = "eps"
    """What the network predicts, and whose squared error is the loss. eps: the noise, as published. v: sqrt(abar_t) eps
    - sqrt(1 - abar_t) x_0 (arXiv 2202.00512). Its error is that of eps over sqrt(abar_t): noisy times, where only z
    tells what the image is, weigh as much as clean ones. Short trainings on small images need it
    (docs/loss_scales.md)."""
    times: Literal["uniform", "edm"] = "uniform"
    """uniform: t uniform in 1..T, as published. edm: the noise levels where images are decided, mixed with uniform t
    (``times.EdmTimes``; take ``parametrisation: v`` with it, whose squared error is then a flow's). The bound that is
    reported is the same either way."""

    @model_validator(mode="after")
    def _units_of_the_output(self) -> "DiffAeConfig":
        if self.at_output and self.parametrisation != "v":
            raise ValueError(
                f"precondition: {self.precondition} needs parametrisation v: the network's output is measured from an "
                "estimate of the image; or set estimate to input"
            )
        return self

    @model_validator(mode="after")
    def _rising(self) -> "DiffAeConfig":
        if self.beta_last < self.beta_first:
            raise ValueError(f"beta_last={self.beta_last:g} is below beta_first={self.beta_first:g}: swap them")
        abar = math.exp(np.log1p(-np.linspace(self.beta_first, self.beta_last, self.n_times)).sum())
        if abar < LEAST_SIGNAL:
            raise ValueError(
                f"n_times={self.n_times} with beta_last={self.beta_last:g} leaves abar_T = {abar:.1g} of the signal, "
                f"by which sampling would divide: at least {LEAST_SIGNAL:g}; take fewer times or a smaller beta_last"
            )
        return self


D = TypeVar("D", bound=DiffAeConfig)


class DiffAe(Method[D]):
    """Squared error of eps (or of v) predicted from (x_t, t, z), with z = e(x).

    Images are taken as [-1, 1], binary ones as -1 and 1, and thresholded at 0 when they come out. z is passed at every
    step of sampling and of inversion. (The official InfoDiffusion code drops it in its inversion, which then encodes
    the noisy image anew at each step.)
    """

    name = "diffae"
    version = 2
    title = "DiffAE"
    source = "K. Preechakul et al., arXiv 2111.15640"
    Config: ClassVar[type[DiffAeConfig]] = DiffAeConfig
    reconstruction_steps = 20
    """DDIM steps each way of ``reconstruct`` (the official evaluation's number)."""

    centres: Tensor
    """Values of the data's bins in [-1, 1], (K,)."""

    def __init__(self, data: DataSet, net: Network, config: D) -> None:
        super().__init__(data, net, config)
        n_channels, side = data.shape[0], data.shape[1:]
        self.encoder = Encoder(n_channels, self._head_width(), side, net, time=False)
        self.spectrum = config.spectrum(data)
        self.decoder = UNet((2 if config.at_input else 1) * n_channels, n_channels, net)
        n_left = budget(data.shape, net) - n_parameters(self.encoder) - n_parameters(self.decoder)
        prior = matched(lambda size: LatentPrior(net.latent_dim, 8 * (size + 1)), n_left)
        self.prior = cast(LatentPrior, prior)
        self.diffusion = Diffusion(config.n_times, config.beta_first, config.beta_last)
        self.register_buffer("centres", 2 * data.centres - 1, persistent=False)

    def fit(self, images: np.ndarray, rng: Rng) -> None:
        """Measure the model of the images, where one is asked for."""
        if self.spectrum is not None:
            self.spectrum.measure(images, rng)

    def finish(self, images: np.ndarray, rng: Rng) -> None:
        with torch.no_grad():
            parts = enumerate(some_of(images, rng))
            self.prior.measure(torch.cat([self._draw(x, rng.at(i)) for i, x in parts]))

    def loss(self, batch: Tensor, rng: Rng) -> LossTerms:
        """E |eps - eps_hat(x_t, t, z)|^2/D (arXiv 2111.15640), or the same of v; plus the regulariser of z
        (``_code``), and the latent DDIM's own loss, which does not reach the codes. Reported in units of D."""
        z, regulariser, reported = self._code(batch, rng)
        t = self._training_times(rng.stratified("t", len(batch)))
        eps = rng.normal("eps", tuple(batch.shape))
        x_0 = 2 * batch - 1
        target = eps if self.config.parametrisation == "eps" else self.diffusion.v(x_0, t, eps)
        error = (self._out(self.diffusion.diffuse(x_0, t, eps), t, z) - target).square().mean()
        latent = self.prior.loss(z, rng.at("prior"))
        terms = {self.config.parametrisation: error * self.data.n_dims} | reported | {"latent": latent}
        return LossTerms(error + regulariser + latent, {name: term.detach() for name, term in terms.items()})

    def encode(self, x: Tensor) -> Codes:
        return Codes(self._head(x))

    def reconstruct(self, x: Tensor, z: Tensor) -> Tensor:
        """Invert with x's own code, render with ``z``."""
        noise = self._inverted(x, self.encode(x).mean, self.reconstruction_steps)
        return self.render(z, noise, self.reconstruction_steps)

    def decode(self, z: Tensor) -> Tensor:
        """One step from z alone: the mean of x_0 at t = T, from one x_T that is the same for all codes.

        At T it is the same as good as whatever x_T, as long as the network has to say what x_0 is (v).
        """
        if self.config.parametrisation == "eps":
            raise Unsupported("at t = T a predictor of the noise does not say what the image is")
        x_T = (
            Rng(("decode", *self.data.shape), z.device).normal("x_T", (1, *self.data.shape)).expand(len(z), -1, -1, -1)
        )
        t = torch.full((len(z),), self.diffusion.n_times, device=z.device)
        return ((self.diffusion.clean(x_T, t, self._eps(x_T, t, z)) + 1) / 2).clamp(0, 1)

    def invert(self, x: Tensor, z: Tensor, rng: Rng, n_steps: int) -> Tensor:
        """x_T by deterministic DDIM inversion, without any draw."""
        return self._inverted(x, z, n_steps)

    def render(self, z: Tensor, subcode: Tensor, n_steps: int) -> Tensor:
        """DDIM from x_T, without clipping, so that it is the way back of ``invert``."""
        return self._image(self.diffusion.sample(self._predict(z), subcode, n_steps))

    @property
    def subcode_shape(self) -> tuple[int, ...]:
        return self.data.shape

    def generate(self, z: Tensor, rng: Rng, n_steps: int) -> Tensor:
        """DDIM from a fresh x_T, the implied x_0 clipped to [-1, 1] at every step."""
        noise = rng.normal("x_T", (len(z), *self.data.shape))
        return self._image(self.diffusion.sample(self._predict(z), noise, n_steps, clip=True))

    def sample(self, n: int, rng: Rng, n_steps: int) -> Tensor:
        """Codes from the latent DDIM, then ``generate``."""
        return self.generate(self.draw_codes(n, rng.at("z"), n_steps), rng.at("x"), n_steps)

    def draw_codes(self, n: int, rng: Rng, n_steps: int) -> Tensor:
        """Codes from the latent DDIM: they need not be N(0, I)."""
        return self.prior.sample(n, rng, n_steps)

    @property
    def code_mean(self) -> Tensor:
        return self.prior.mean

    def nll(self, x: Tensor, rng: Rng) -> Nll:
        """Variational bound with one z per image: KL of z, then the terms of the diffusion at fixed z.

        The terms of t = 2..T are estimated at one stratified time per image. Training weighs them all alike
        (DDPM's simple loss), not as the bound does, so the bound is loose; it is a bound.
        """
        z, kl = self._widened(x, rng)
        n_between = self.diffusion.n_times - 1
        t = 2 + (rng.stratified("t", len(x)) * n_between).long().clamp(max=n_between - 1)
        between = n_between * self._bound_term(x, t, z, rng.at("between"))
        first = torch.ones_like(t)
        end = self.diffusion.end_term(2 * x - 1, self._guess(x, first, z, rng.at("end")), self.centres)
        return Nll(between + end + self.diffusion.prior_term(2 * x - 1), kl)

    def decoder_loss(self, x: Tensor, swap: Swap, rng: Rng) -> dict[str, Tensor]:
        """SNR/2 |x_0 - x_0_hat|^2 at fixed noise, nats per image: the bound's loss per unit of ln SNR, as a flow's."""
        z, losses = swap(self._draw(x, rng)), {}
        for name, time in self.usage_points().items():
            t = torch.full((len(x),), time, device=x.device)
            error = (2 * x - 1 - self._guess(x, t, z, rng.at(name))).square().flatten(1).sum(1)
            losses[name] = (-2 * self.diffusion.log_sigma[time - 1]).exp().float() / 2 * error
        return losses

    def usage_points(self) -> dict[str, int]:
        """Names, and the times t >= 2 that are nearest to ``NOISES``, as far as the schedule reaches them."""
        levels = self.diffusion.levels
        between = (levels[:-1] + levels[1:]) / 2
        wanted = {noise: math.log(sigma(noise)) for noise in NOISES}
        return {
            point(noise): 1 + int(np.searchsorted(between, level))
            for noise, level in wanted.items()
            if levels[1] <= level <= levels[-1]
        }

    def attention(self, x: Tensor, rng: Rng) -> Tensor:
        """At the times of ``decoder_loss``, with the images' own codes."""
        z = self.encode(x).mean
        with recorded_shares(self.decoder) as shares:
            for name, time in self.usage_points().items():
                t, eps = torch.full((len(x),), time, device=x.device), rng.normal(name, tuple(x.shape))
                self._out(self.diffusion.diffuse(2 * x - 1, t, eps), t, z)
        return mean_shares(shares, self.data.shape[1:])

    def _training_times(self, uniform: Tensor) -> Tensor:
        """Times 1..T (N,) from stratified numbers in [0, 1)."""
        if self.config.times == "uniform":
            return self.diffusion.draw_times(uniform)
        from_density, quantile = split(uniform.double(), 1 - self.config.times_uniform)
        lowest, highest = self.diffusion.log_sigma[[0, -1]].tolist()
        log_sigma = cut_normal(quantile, self.config.times_centre, self.config.times_width, lowest, highest)
        return torch.where(from_density, self.diffusion.nearest_times(log_sigma), self.diffusion.draw_times(quantile))

    def _head_width(self) -> int:
        """Outputs of the encoder."""
        return self.net.latent_dim

    def _head(self, x: Tensor) -> Tensor:
        """Encoder output of images, which it sees in [-1, 1]."""
        return self.encoder(2 * x - 1).float()

    def _code(self, x: Tensor, rng: Rng) -> tuple[Tensor, Tensor | float, dict[str, Tensor]]:
        """Codes that training decodes (N, d), their regulariser, and what it reports."""
        return self._head(x), 0.0, {}

    def _draw(self, x: Tensor, rng: Rng) -> Tensor:
        """Codes as in training, (N, d)."""
        return self._code(x, rng)[0]

    def _widened(self, x: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """Draws of z (N, d) and their KL in nats (N,): for a point, see ``Scatter.widen``."""
        z = self._head(x)
        return self.prior.widen(z, rng.normal("z", tuple(z.shape)))

    def _out(self, x_t: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """What the network predicts: eps or v, (N, C, H, W).

        With preconditioning x_0 is estimated in the units of a Gaussian model of the images (``Spectrum.estimate``),
        and v = (sqrt(abar_t) x_t - x_0)/sqrt(1 - abar_t) is what x_t and that x_0 imply.
        """
        u = t / self.diffusion.n_times
        if self.spectrum is None:
            return self.decoder(x_t, u, z).float()
        signal, noise = at(self.diffusion.signal, t, x_t), at(self.diffusion.noise, t, x_t)
        shown = (signal * x_t, signal.square(), noise.square())
        seen = torch.cat((x_t, self.spectrum.posterior_mean(*shown)), 1) if self.config.at_input else x_t
        out = self.decoder(seen, u, z).float()
        if not self.config.at_output:
            return out
        return (signal * x_t - self.spectrum.estimate(out, *shown)) / noise

    def _eps(self, x_t: Tensor, t: Tensor, z: Tensor) -> Tensor:
        out = self._out(x_t, t, z)
        return out if self.config.parametrisation == "eps" else self.diffusion.eps_of_v(x_t, t, out)

    def _predict(self, z: Tensor):
        return lambda x_t, t: self._eps(x_t, t, z)

    def _inverted(self, x: Tensor, z: Tensor, n_steps: int) -> Tensor:
        return self.diffusion.invert(self._predict(z), 2 * x - 1, n_steps)

    def _image(self, x_0: Tensor) -> Tensor:
        """[-1, 1] to [0, 1]; binary data are thresholded at 0."""
        return (x_0 > 0).float() if self.data.binary else ((x_0 + 1) / 2).clamp(0, 1)

    def _guess(self, x: Tensor, t: Tensor, z: Tensor, rng: Rng) -> Tensor:
        """x_0 in [-1, 1] guessed from a draw of x_t."""
        x_t = self.diffusion.diffuse(2 * x - 1, t, rng.normal("eps", tuple(x.shape)))
        return self.diffusion.clean(x_t, t, self._eps(x_t, t, z)).clamp(-1, 1)

    def _bound_term(self, x: Tensor, t: Tensor, z: Tensor, rng: Rng) -> Tensor:
        return self.diffusion.bound_term(2 * x - 1, self._guess(x, t, z, rng), t)
