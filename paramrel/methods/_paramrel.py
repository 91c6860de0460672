"""ParamReL: semantic codes inside a Bayesian flow network (arXiv 2405.15268, section 3), for any flow."""

from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from paramrel.attention import mean_shares, recorded_shares
from paramrel.data import DataSet
from paramrel.divergences import Kernel, check_mmd_weight, kl_standard_normal, mmd, reparametrise
from paramrel.flows import hide
from paramrel.method import Codes, LossTerms, Nll, Swap
from paramrel.methods._code_source import code_source
from paramrel.methods._over_flow import FlowConfig, FlowMethod
from paramrel.methods._round_trip import RoundTrip
from paramrel.networks import Encoder, UNet
from paramrel.points import Scatter, some_of
from paramrel.rng import Rng
from paramrel.sampling import ancestral
from paramrel.settings import Network

ZMode = Literal["once", "per_step", "self"]


class ParamRelConfig(FlowConfig):
    """Settings of ParamReL that do not depend on the flow."""

    later: ClassVar[tuple[str, ...]] = ("dropped_weight", "posterior")

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
    gamma: float = Field(1.0, ge=0, le=1)
    """Mutual-information weight: the KL term has weight 1 - gamma (Eq. 6)."""
    lambda_mmd: float = Field(0.1, ge=0)
    """lambda: the MMD term has weight gamma + lambda - 1 (Eq. 6)."""
    kernel: Kernel = "rbf"
    dropped_weight: float = Field(1.0, gt=0)
    """Further weight of the images whose theta is dropped."""
    posterior: Literal["gaussian", "point"] = "gaussian"
    """gaussian: q(z | theta) with mean and log-variance. point: z is the encoder's output, without noise or KL."""

    @model_validator(mode="after")
    def _mmd_pulls(self) -> "ParamRelConfig":
        check_mmd_weight("gamma", self.gamma, self.lambda_mmd)
        if self.posterior == "point" and self.gamma < 1:
            raise ValueError("posterior: point has no KL: set gamma to 1, or posterior to gaussian")
        return self

    @property
    def no_flow(self) -> bool:
        """theta_dropout 1: the decoder never sees theta or u, in training or after it."""
        return self.theta_dropout == 1


VARIANTS: dict[str, dict[str, Any]] = {
    "self": {"z_source": "self"},
    "self_dropout": {"z_source": "self", "theta_dropout": 0.3},
    "ahead": {"z_source": "ahead", "theta_dropout": 0.3},
}
"""Rows of the benchmark: as published; published with theta dropout; ours."""


P = TypeVar("P", bound=ParamRelConfig)


class ParamRel(FlowMethod[P]):
    """Self-encoder q(z | theta_u, u) and parameter decoder psi(theta_u, z, u) over a Bayesian flow.

    With ``theta_dropout`` 1 there is no flow (``ParamRelConfig.no_flow``). What is left is an autoencoder with the same
    networks, the control for what the flow adds.
    """

    source = "arXiv 2405.15268, section 3; look-ahead codes and theta dropout are ours"
    Config: ClassVar[type[ParamRelConfig]]
    variants = VARIANTS

    def __init__(self, data: DataSet, net: Network, config: P) -> None:
        super().__init__(data, net, config)
        static, joint = config.encoder == "static", config.path == "joint"
        self.source_of_codes = code_source(self.flow, config.z_source, joint=joint, static=static)
        self.encoder, self.decoder = self.make_networks(*self.flow.channels(data.shape[0]))
        self.scatter = Scatter(net.latent_dim) if self._is_point else None

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
        """(L + (1 - gamma) KL[q(z | theta_s, s) || N(0, I)])/D + (gamma + lambda - 1) MMD[q(z), N(0, I)].

        This is Eq. 6 of arXiv 2405.15268; it and Eqs. 3 and 9 print wrong signs, these pull q(z) towards the prior. L
        is the flow's loss at u (``Flow.loss``, nats per image), or the weighted squared error of ``times``; images
        whose theta is dropped count ``dropped_weight`` times in L. Reported are L, KL and MMD without their weights.
        """
        x, uniform = self.flow.to_flow(batch), rng.stratified("u", len(batch))
        u = uniform if self.times is None else self.times.draw(uniform)
        theta = self.flow.sample(x, u, rng.at("theta"))
        # 1. the code, from theta_u itself or from further along the flow
        mean, log_var = self._posterior(*self.source_of_codes.draw(x, theta, u, rng))
        z = self._draw(mean, log_var, rng, "z")
        # 2. the flow loss, with theta hidden from the decoder for some images
        hidden = rng.uniform("theta dropout", (len(x),)) < self.config.theta_dropout
        output = self._output(hide(theta, hidden), torch.where(hidden, 0.0, u), z)
        if self.times is None:
            flow = self.flow.loss(x, output, u, hidden).flatten(1).sum(1)
        else:
            flow = self.times.weight(u, hidden) * self.flow.squared_error(x, output).flatten(1).sum(1)
        weight = torch.where(hidden, self.config.dropped_weight, 1.0)
        # 3. the regulariser
        kl = torch.zeros(()) if log_var is None else kl_standard_normal(mean, log_var).mean()
        prior = rng.normal("prior", tuple(z.shape))
        discrepancy = mmd(z, prior, self.config.kernel)
        gamma, lambda_mmd = self.config.gamma, self.config.lambda_mmd
        total = ((weight * flow).mean() + (1 - gamma) * kl) / self.data.n_dims + (gamma + lambda_mmd - 1) * discrepancy
        reported = {"flow" if self.times is None else self.times.term: flow.mean()}
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

    @property
    def round_trip(self) -> RoundTrip:
        """Images to subcodes and back."""
        return RoundTrip(self.flow, self._output, self._seen)

    def invert(self, x: Tensor, z: Tensor, rng: Rng, n_steps: int) -> Tensor:
        return self.round_trip.invert(x, z, rng, n_steps)

    def render(self, z: Tensor, subcode: Tensor, n_steps: int) -> Tensor:
        return self.round_trip.render(z, subcode, n_steps)

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
        if self.source_of_codes.internal:
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
        """Loss at fixed noise (``usage_points``), with codes from the source that training used."""
        x, losses = self.flow.to_flow(x), {}
        for name, time in self.usage_points().items():
            at = rng.at(name)
            u = torch.full((len(x),), time, device=x.device)
            theta = self.flow.sample(x, u, at.at("theta"))
            z = self._draw(*self._posterior(*self.source_of_codes.draw(x, theta, u, at)), at, "z")
            losses[name] = self.usage_loss(x, self._output(theta, u, swap(z)), u)
        return losses

    def attention(self, x: Tensor, rng: Rng) -> Tensor:
        """At the times of ``decoder_loss``, with the images' own codes."""
        z, x = self.encode(x).mean, self.flow.to_flow(x)
        with recorded_shares(self.decoder) as shares:
            for name, time in self.usage_points().items():
                u = torch.full((len(x),), time, device=x.device)
                self._output(self.flow.sample(x, u, rng.at(name)), u, z)
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
        """z ~ q(z | x) (N, d) of x in the flow's values, and its KL to the prior in nats (N,)."""
        theta = self.source_of_codes.draw_one(x, rng)
        mean, log_var = self._posterior(theta, torch.ones(len(x), device=x.device))
        if self.scatter is not None:
            return self.scatter.widen(mean, rng.normal("z 1", tuple(mean.shape)))
        assert log_var is not None, "only a point has a scatter"
        return self._draw(mean, log_var, rng, "z 1"), kl_standard_normal(mean, log_var)

    def _posterior(self, theta: Tensor, u: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean and log-variance of q(z | theta_u, u), each (N, d); no log-variance for a point."""
        head = self.encoder(self.flow.network_input(theta), u).float()
        return (head, None) if self._is_point else head.chunk(2, 1)

    def _codes(self, theta: Tensor, u: Tensor) -> Codes:
        mean, log_var = self._posterior(theta, u)
        return Codes(mean, None if log_var is None else (log_var / 2).exp())

    def _seen(self, theta: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """theta and u; the prior and 0 where there is no flow: what is never seen in training is not seen after it."""
        if self.config.no_flow:
            return self._prior(len(u), u.device), torch.zeros_like(u)
        return theta, u
