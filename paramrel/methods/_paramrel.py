"""ParamReL: semantic codes inside a Bayesian flow network (arXiv 2405.15268, section 3), for any flow."""

from abc import abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from paramrel.attention import mean_shares, recorded_shares
from paramrel.data import DataSet
from paramrel.divergences import Kernel, check_mmd_weight, kl_standard_normal, mmd, reparametrise
from paramrel.flows import Flow, LastSample, Output, hide
from paramrel.method import Codes, LossTerms, Method, Nll, Swap
from paramrel.networks import Encoder, UNet
from paramrel.points import Scatter, some_of
from paramrel.rng import Rng
from paramrel.sampling import ancestral, integrate
from paramrel.settings import Frozen, Network
from paramrel.times import ddpm_times

ZMode = Literal["once", "per_step", "self"]
INVERSION = 4
"""Fixed-point iterations per step of ``invert`` (docs/round_trip.md)."""
REDRAWS = 20
"""Most draws of ``start_of_inversion`` for one pixel."""


class ParamRelConfig(Frozen):
    """Settings of ParamReL that do not depend on the flow."""

    later = ("dropped_weight", "n_updates", "posterior", "times", "update")

    z_source: Literal["self", "ahead", "data"] = "ahead"
    """Which theta_s the code in training comes from. self: s = u, as published; then z tells the decoder nothing
    that theta_u does not, and the decoder ignores it. ahead (ours): s ~ U(u, 1). data: s = 1."""
    path: Literal["independent", "joint"] = "independent"
    """ahead and data: theta_s is a second flow sample of the same x, or continues the path of theta_u."""
    encoder: Literal["progressive", "vanilla", "static"] = "progressive"
    """progressive: u enters every block of the encoder (Fig. 8b). vanilla: not (Fig. 8a). static: not, and the
    encoder sees x without noise, q(z | x), whatever ``z_source`` says: what InfoDiffusion does, a control."""
    theta_dropout: float = Field(0.0, ge=0, le=1)
    """Probability per image that the decoder sees the prior in place of theta_u. The target is unchanged; so is the
    weight of the discrete flow's loss, while the Gaussian flows' becomes that of u = 0 (``ContinuousFlow.loss``)."""
    update: Literal["bayes", "last_sample"] = "bayes"
    """bayes: theta_u adds up all sender samples up to u. last_sample, an ablation: the networks see the last of
    ``n_updates`` sender samples alone (``flows.LastSample``); images are then sampled in so many steps."""
    n_updates: int = Field(20, ge=1)
    """Steps of the flow under ``update: last_sample``: the ``sampling_steps`` of the preset."""
    gamma: float = Field(1.0, ge=0, le=1)
    """Mutual-information weight: the KL term has weight 1 - gamma (Eq. 6)."""
    lambda_mmd: float = Field(0.1, ge=0)
    """lambda: the MMD term has weight gamma + lambda - 1 (Eq. 6)."""
    kernel: Kernel = "rbf"
    dropped_weight: float = Field(1.0, gt=0)
    """Further weight of the images whose theta is dropped."""
    posterior: Literal["gaussian", "point"] = "gaussian"
    """gaussian: q(z | theta) with mean and log-variance. point: z is the encoder's output, without noise or KL."""
    times: Literal["uniform", "ddpm"] = "uniform"
    """Times and weights in training. uniform: u uniform, the flow's weight: the bound itself. ddpm: the log-SNR density
    of DDPM's linear schedule (arXiv 2006.11239) and the squared error of the noise, as in its simple loss; images whose
    theta is dropped then count by the squared error of x. The likelihood is the flow's own either way."""

    @model_validator(mode="after")
    def _mmd_pulls(self) -> "ParamRelConfig":
        check_mmd_weight("gamma", self.gamma, self.lambda_mmd)
        if self.posterior == "point" and self.gamma < 1:
            raise ValueError("posterior: point has no KL: set gamma to 1, or posterior to gaussian")
        return self


VARIANTS: dict[str, dict[str, Any]] = {
    "self": {"z_source": "self"},
    "self_dropout": {"z_source": "self", "theta_dropout": 0.3},
    "ahead": {"z_source": "ahead", "theta_dropout": 0.3},
}
"""Rows of the benchmark: as published; published with theta dropout; ours."""


class ParamRel(Method):
    """Self-encoder q(z | theta_u, u) and parameter decoder psi(theta_u, z, u) over a Bayesian flow.

    Optimised is (flow loss + (1 - gamma) KL)/D + (gamma + lambda - 1) MMD; reported are nats per image. Eqs. 3, 6
    and 9 of the paper print wrong signs; these pull q(z) towards the prior.

    With ``theta_dropout`` 1 there is no flow: the decoder never sees theta or u, in training or after it. What is left
    is an autoencoder with the same networks, the control for what the flow adds.
    """

    source = "arXiv 2405.15268, section 3; look-ahead codes and theta dropout are ours"
    Config: ClassVar[type[ParamRelConfig]]
    variants = VARIANTS
    usage_times = (0.1, 0.3, 0.5, 0.7, 0.9)

    def __init__(self, data: DataSet, net: Network, config: ParamRelConfig) -> None:
        super().__init__(data, net, config)
        flow = self.make_flow(data, config)
        self.flow = LastSample(flow, config.n_updates) if config.update == "last_sample" else flow
        self.encoder, self.decoder = self.make_networks(*self.flow.channels(data.shape[0]))
        self.scatter = Scatter(net.latent_dim) if self._is_point else None

    @abstractmethod
    def make_flow(self, data: DataSet, config: ParamRelConfig) -> Flow:
        """The flow over the data's values."""

    def make_networks(self, n_seen: int, n_in: int, n_out: int) -> tuple[nn.Module, nn.Module]:
        """Encoder(theta, u) -> (N, ``head_width``) of ``n_seen`` channels and decoder(theta, u, z) ->
        (N, n_out, H, W)."""
        progressive = self.config.encoder == "progressive"
        encoder = Encoder(n_seen, self.head_width, self.data.shape[1:], self.net, time=progressive)
        return encoder, UNet(n_in, n_out, self.net)

    @property
    def head_width(self) -> int:
        """Outputs of the encoder: means, and log-variances where there are any."""
        return (1 if self._is_point else 2) * self.net.latent_dim

    def finish(self, images: np.ndarray, rng: Rng) -> None:
        if self.scatter is not None:
            with torch.no_grad():
                self.scatter.measure(torch.cat([self.encode(x).mean for x in some_of(images, rng)]))

    def loss(self, batch: Tensor, rng: Rng) -> LossTerms:
        x = self.flow.to_flow(batch)
        u = self._training_times(rng.stratified("u", len(x)))
        theta = self.flow.sample(x, u, rng.at("theta"))
        # 1. the code, from theta_u itself or from further along the flow
        mean, log_var = self._posterior(*self._source(x, theta, u, rng))
        z = self._draw(mean, log_var, rng, "z")
        # 2. the flow loss, with theta hidden from the decoder for some images
        hidden = rng.uniform("theta dropout", (len(x),)) < self.config.theta_dropout
        output = self._output(hide(theta, hidden), torch.where(hidden, 0.0, u), z)
        flow = self._training_loss(x, u, output, hidden)
        weight = torch.where(hidden, self.config.dropped_weight, 1.0)
        # 3. the regulariser
        kl = torch.zeros(()) if log_var is None else kl_standard_normal(mean, log_var).mean()
        prior = rng.normal("prior", tuple(z.shape))
        discrepancy = mmd(z, prior, self.config.kernel)
        gamma, lambda_mmd = self.config.gamma, self.config.lambda_mmd
        total = ((weight * flow).mean() + (1 - gamma) * kl) / self.data.n_dims + (gamma + lambda_mmd - 1) * discrepancy
        reported = {"flow" if self.config.times == "uniform" else "eps": flow.mean()}
        reported |= {"mmd": discrepancy} if log_var is None else {"kl": kl, "mmd": discrepancy}
        # what the MMD reads when all codes are one, and when they are the prior's
        reported["mmd_collapsed"] = mmd(torch.zeros_like(prior), prior, self.config.kernel)
        reported["mmd_prior"] = mmd(rng.normal("prior again", tuple(z.shape)), prior, self.config.kernel)
        return LossTerms(total, {name: value.detach() for name, value in reported.items()})

    def encode(self, x: Tensor) -> Codes:
        """z_sem: posterior at u = 1 with the noise-free flow mean."""
        one = torch.ones(len(x), device=x.device)
        return self._codes(self.flow.noise_free(x, one), one)

    def encode_at(self, x: Tensor, s: float, rng: Rng) -> Codes:
        """z_s: posterior at one flow sample theta_s (the noise-free mean would show all of x at any s > 0)."""
        if s >= 1:
            return self.encode(x)
        u = torch.full((len(x),), s, device=x.device)
        return self._codes(self.flow.sample(self.flow.to_flow(x), u, rng.at("theta_s")), u)

    def decode(self, z: Tensor) -> Tensor:
        """One step from z alone: expectation of p_O at u = 0, where theta is the prior."""
        zero = torch.zeros(len(z), device=z.device)
        return self.flow.expectation(self._output(self._prior(len(z), z.device), zero, z))

    def reconstruct(self, x: Tensor, z: Tensor) -> Tensor:
        """p_O at u = 1 from the noise-free theta_1 of x, with z: near-exact for any z, which says nothing of z."""
        one = torch.ones(len(x), device=x.device)
        return self.flow.expectation(self._output(self.flow.mean_state(self.flow.to_flow(x), one), one, z))

    def invert(self, x: Tensor, z: Tensor, rng: Rng, n_steps: int) -> Tensor:
        """v at u = 0: every Heun step of ``render`` undone by fixed-point iteration, z fixed (docs/round_trip.md).

        Eq. 5 of the paper loses x or leaks it; this stands in its place.
        """
        v = self.start_of_inversion(x, z, rng)
        return integrate(self.flow, self._output, v, z, 1.0, 0.0, n_steps, fixed_point=INVERSION)

    def start_of_inversion(self, x: Tensor, z: Tensor, rng: Rng) -> Tensor:
        """v at u = 1: the noise-free one of x plus N(0, I), what the ODE carries to N(0, I) at u = 0.

        Noise from which another value would be read than the pixel has is drawn again, so that the round trip
        returns x. Without noise the subcode of quantised data is not Gaussian. Where a flow does not tell the
        values apart (``Flow.resolves``) nothing is drawn again.
        """
        x, one = self.flow.to_flow(x), torch.ones(len(x), device=x.device)
        clean = self.flow.to_v(self.flow.mean_state(x, one), one)
        v = clean + rng.normal("v", tuple(clean.shape))
        for i in range(REDRAWS if self.flow.resolves else 0):
            wrong = self.flow.misread(x, self._read(v, z))
            if not wrong.any():
                break
            v = torch.where(wrong, clean + rng.normal(f"v {i}", tuple(clean.shape)), v)
        return v

    def render(self, z: Tensor, subcode: Tensor, n_steps: int) -> Tensor:
        """The ODE forwards (Heun), then what is read at u = 1, moved to the nearest of the data's values."""
        v = integrate(self.flow, self._output, subcode, z, 0.0, 1.0, n_steps)
        return self.flow.to_images(self._read(v, z))

    def _read(self, v: Tensor, z: Tensor) -> Tensor:
        """What v at u = 1 and the decoder make of each pixel, in the flow's values (``Flow.read``)."""
        one = torch.ones(len(z), device=z.device)
        theta, u = self._visible(self.flow.from_v(v, one), one)
        return self.flow.quantise(self.flow.read(theta, self._output(theta, u, z)))

    def paths(self, x: Tensor, n_steps: int, rng: Rng) -> Tensor:
        """By n_steps Bayesian updates with sender samples of x."""
        x = self.flow.to_flow(x)
        state = self._prior(len(x), rng.device)
        seen = [self.flow.network_input(state)]
        for i in range(n_steps):
            u, s = (torch.full((len(x),), j / n_steps, device=rng.device) for j in (i, i + 1))
            state = self.flow.continue_path(state, x, u, s, rng.at(i))
            seen.append(self.flow.network_input(state))
        return torch.stack(seen)

    @property
    def subcode_shape(self) -> tuple[int, ...] | None:
        if not self.flow.has_ode:
            return None
        one = torch.ones(1)
        return tuple(self.flow.to_v(self._prior(1, one.device), one).shape[1:])

    @property
    def no_subcode(self) -> str:
        return "update: last_sample has no ODE, so no subcode"

    def generate(self, z: Tensor, rng: Rng, n_steps: int) -> Tensor:
        return ancestral(self.flow, self._output, lambda *_: z, (len(z), *self.data.shape), rng, n_steps)

    def sample(self, n: int, rng: Rng, n_steps: int, z_mode: ZMode = "once") -> Tensor:
        """Ancestral samples (Eq. 4). z from its prior once per image and kept, anew at every step (the literal Eq. 4),
        or, after the first step, encoded from the theta of the step (self)."""

        def codes(i: int, theta: Tensor, u: Tensor) -> Tensor:
            if z_mode == "self" and i:
                return self._draw(*self._posterior(theta, u), rng, f"z {i}")
            return self._from_prior(n, rng, f"z {i}" if z_mode == "per_step" else "z")

        return ancestral(self.flow, self._output, codes, (n, *self.data.shape), rng, n_steps)

    def draw_codes(self, n: int, rng: Rng, n_steps: int) -> Tensor:
        """N(0, I); of points, as they are scattered."""
        return self._from_prior(n, rng, "z")

    @property
    def code_mean(self) -> Tensor | float:
        return 0.0 if self.scatter is None else self.scatter.mean

    def nll(self, x: Tensor, rng: Rng) -> Nll:
        """Continuous-time flow loss (one stratified time per image) plus reconstruction at u = 1.

        self: z_u is internal noise of the receiver, made of theta_u anew at each u, and by Jensen's inequality the
        bound needs no KL. Otherwise one z ~ q(z | x) serves all u and its KL to the prior is part of the bound (of a
        point: ``Scatter.widen``). Always on the flow's own times and weights, whatever training used.
        """
        x = self.flow.to_flow(x)
        u, one = rng.stratified("u", len(x)), torch.ones(len(x), device=x.device)
        theta_u, theta_1 = self.flow.sample(x, u, rng.at("theta")), self.flow.sample(x, one, rng.at("theta 1"))
        if self.config.z_source == "self" and self.config.encoder != "static":
            z_u = self._draw(*self._posterior(theta_u, u), rng, "z")
            z_1 = self._draw(*self._posterior(theta_1, one), rng, "z 1")
            kl = torch.zeros(len(x), device=x.device)
        else:
            z_u, kl = self._one_code(x, rng)
            z_1 = z_u
        reconstruction = self.flow.reconstruction_nll(x, self._output(theta_1, one, z_1))
        flow = self.flow.loss(x, self._output(theta_u, u, z_u), u)
        data = flow.flatten(1).sum(1) + reconstruction.flatten(1).sum(1)
        return Nll(data, kl, (flow + reconstruction).flatten(2).sum(2))

    def decoder_loss(self, x: Tensor, swap: Swap, rng: Rng) -> dict[str, Tensor]:
        """Flow loss at fixed u, with codes from the source that training used."""
        x, losses = self.flow.to_flow(x), {}
        for time in self.usage_times:
            at = rng.at(f"u={time}")
            u = torch.full((len(x),), time, device=x.device)
            theta = self.flow.sample(x, u, at.at("theta"))
            z = self._draw(*self._posterior(*self._source(x, theta, u, at)), at, "z")
            losses[f"u={time}"] = self._flow_loss(x, u, self._output(theta, u, swap(z)))
        return losses

    def attention(self, x: Tensor, rng: Rng) -> Tensor:
        """At the times of ``decoder_loss``, with the images' own codes."""
        z, x = self.encode(x).mean, self.flow.to_flow(x)
        with recorded_shares(self.decoder) as shares:
            for time in self.usage_times:
                u = torch.full((len(x),), time, device=x.device)
                self._output(self.flow.sample(x, u, rng.at(f"u={time}")), u, z)
        return mean_shares(shares, self.data.shape[1:])

    @property
    def _is_point(self) -> bool:
        return self.config.posterior == "point"

    def _draw(self, mean: Tensor, log_var: Tensor | None, rng: Rng, name: str) -> Tensor:
        """Codes as in training, (N, d): drawn from the posterior, or the point that it is."""
        return mean if log_var is None else reparametrise(mean, log_var, rng.normal(name, tuple(mean.shape)))

    def _from_prior(self, n: int, rng: Rng, name: str) -> Tensor:
        """n codes from their prior, (n, d)."""
        z = rng.normal(name, (n, self.net.latent_dim))
        return z if self.scatter is None else self.scatter.place(z)

    def _one_code(self, x: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """z ~ q(z | x) (N, d) of x in the flow's values, and its KL to the prior in nats (N,).

        q(z | x) averages over a theta_1 of its own: given x, the code is independent of the flow that it decodes.
        """
        one = torch.ones(len(x), device=x.device)
        static = self.config.encoder == "static"
        theta = self.flow.mean_state(x, one) if static else self.flow.sample(x, one, rng.at("theta of z"))
        mean, log_var = self._posterior(theta, one)
        if self.scatter is not None:
            return self.scatter.widen(mean, rng.normal("z 1", tuple(mean.shape)))
        return self._draw(mean, log_var, rng, "z 1"), kl_standard_normal(mean, log_var)

    def _training_times(self, uniform: Tensor) -> Tensor:
        """Flow times (N,) from stratified numbers in [0, 1)."""
        return uniform if self.config.times == "uniform" else ddpm_times(self.flow, uniform)

    def _training_loss(self, x: Tensor, u: Tensor, output: Output, hidden: Tensor) -> Tensor:
        """What is minimised, per image (N,): the flow loss in nats, or the noise's squared error (x's own where theta is
        dropped)."""
        if self.config.times == "uniform":
            return self._flow_loss(x, u, output, hidden)
        return torch.where(hidden, 1.0, self.flow.beta(u)) * self.flow.squared_error(x, output).flatten(1).sum(1)

    def _source(self, x: Tensor, theta: Tensor, u: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """theta_s and s that the code is read from."""
        if self.config.encoder == "static":
            return self.flow.mean_state(x, torch.ones_like(u)), torch.ones_like(u)
        if self.config.z_source == "self":
            return theta, u
        s = torch.ones_like(u)
        if self.config.z_source == "ahead":
            s = u + (1 - u) * rng.uniform("s", (len(u),))
        if self.config.path == "joint":
            return self.flow.continue_path(theta, x, u, s, rng.at("ahead")), s
        return self.flow.sample(x, s, rng.at("ahead")), s

    def _prior(self, n: int, device: torch.device) -> Tensor:
        return self.flow.prior((n, *self.data.shape), device)

    def _posterior(self, theta: Tensor, u: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean and log-variance of q(z | theta_u, u), each (N, d); no log-variance for a point."""
        head = self.encoder(self.flow.network_input(theta), u).float()
        return (head, None) if self._is_point else head.chunk(2, 1)

    def _codes(self, theta: Tensor, u: Tensor) -> Codes:
        mean, log_var = self._posterior(theta, u)
        return Codes(mean, None if log_var is None else (log_var / 2).exp())

    def _output(self, theta: Tensor, u: Tensor, z: Tensor) -> Output:
        """p_O(. | theta, u, z)."""
        theta, u = self._visible(theta, u)
        return self.flow.output(self.decoder(self.flow.decoder_input(theta, u), u, z), theta, u)

    def _visible(self, theta: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """theta and u; the prior and 0 where there is no flow: what is never seen in training is not seen after it."""
        if self.config.theta_dropout == 1:
            return self._prior(len(u), u.device), torch.zeros_like(u)
        return theta, u

    def _flow_loss(self, x: Tensor, u: Tensor, output: Output, hidden: Tensor | None = None) -> Tensor:
        """Nats per image, (N,)."""
        return self.flow.loss(x, output, u, hidden).flatten(1).sum(1)
