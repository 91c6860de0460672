"""ParamReL_d: semantic codes inside a Bayesian flow network for discrete data (arXiv 2405.15268, section 3)."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from paramrel.data import DataSet
from paramrel.divergences import Kernel, kl_standard_normal, mmd, reparametrise
from paramrel.flows import DiscreteFlow
from paramrel.method import Codes, LossTerms, Method, Nll, Swap
from paramrel.networks import Encoder, UNet
from paramrel.rng import Rng
from paramrel.sampling import ancestral
from paramrel.settings import Frozen, Network


class ParamRelConfig(Frozen):
    """Settings of ParamReL."""

    z_source: Literal["self", "ahead", "data"] = "ahead"
    """Which theta_s the code in training comes from. self: s = u, as published; then z tells the decoder nothing
    that theta_u does not, and the decoder ignores it. ahead (ours): s ~ U(u, 1). data: s = 1."""
    path: Literal["independent", "joint"] = "independent"
    """ahead and data: theta_s is a second flow sample of the same x, or continues the path of theta_u."""
    encoder: Literal["progressive", "vanilla"] = "progressive"
    """progressive: u enters every block of the encoder (Fig. 8b). vanilla: not (Fig. 8a)."""
    theta_dropout: float = Field(0.0, ge=0, le=1)
    """Probability per image that the decoder sees the prior in place of theta_u (target and weight unchanged)."""
    gamma: float = Field(1.0, ge=0, le=1)
    """Mutual-information weight: the KL term has weight 1 - gamma (Eq. 6)."""
    lambda_mmd: float = Field(0.1, ge=0)
    """lambda: the MMD term has weight gamma + lambda - 1 (Eq. 6)."""
    kernel: Kernel = "rbf"
    beta_1: float = Field(9.0, gt=0)
    """Accuracy beta(1) of the flow."""


class ParamRelD(Method):
    """Self-encoder q(z | theta_u, u) and decoder psi(theta_u, z, u) over a discrete flow."""

    name = "paramrel_d"
    title = "ParamReL_d"
    source = "arXiv 2405.15268, section 3; look-ahead codes and theta dropout are ours"
    Config = ParamRelConfig
    variants = {
        "self": {"z_source": "self"},
        "self_dropout": {"z_source": "self", "theta_dropout": 0.3},
        "ahead": {"z_source": "ahead", "theta_dropout": 0.2},
    }
    usage_times = (0.1, 0.3, 0.5, 0.7, 0.9)

    def __init__(self, data: DataSet, net: Network, config: ParamRelConfig) -> None:
        super().__init__(data, net, config)
        self.flow = DiscreteFlow(n_classes=2, beta_1=config.beta_1)
        n_channels, *side = data.shape
        progressive = config.encoder == "progressive"
        self.encoder = Encoder(n_channels, 2 * net.latent_dim, tuple(side), net, time=progressive)
        self.decoder = UNet(n_channels, n_channels, net)

    @classmethod
    def skip(cls, data: DataSet) -> str | None:
        return None if data.binary else "the discrete flow here is for binary images"

    def loss(self, batch: Tensor, rng: Rng) -> LossTerms:
        x = batch.long()
        u = rng.stratified("u", len(x))
        theta = self.flow.sample(x, u, rng.at("theta"))
        # 1. the code, from theta_u itself or from further along the flow
        mean, log_var = self._posterior(*self._source(x, theta, u, rng))
        z = reparametrise(mean, log_var, rng.normal("z", tuple(mean.shape)))
        # 2. the flow loss, with theta hidden from the decoder for some images
        hidden = rng.uniform("theta dropout", (len(x),)) < self.config.theta_dropout
        seen = torch.where(hidden.reshape(-1, 1, 1, 1, 1), 0.0, theta)
        flow = self._flow_loss(x, u, self._log_probs(seen, torch.where(hidden, 0.0, u), z))
        # 3. the regulariser (Eqs. 3, 6 and 9 print wrong signs; these pull q(z) towards the prior)
        kl = kl_standard_normal(mean, log_var).mean()
        discrepancy = mmd(z, rng.normal("prior", tuple(z.shape)), self.config.kernel)
        gamma, lambda_mmd = self.config.gamma, self.config.lambda_mmd
        total = (flow.mean() + (1 - gamma) * kl) / self.data.n_dims + (gamma + lambda_mmd - 1) * discrepancy
        return LossTerms(total, {"flow": flow.mean().detach(), "kl": kl.detach(), "mmd": discrepancy.detach()})

    def encode(self, x: Tensor) -> Codes:
        """z_sem: posterior at u = 1 with the noise-free flow mean."""
        one = torch.ones(len(x), device=x.device)
        mean, log_var = self._posterior(self.flow.mean_logits(x.long(), one), one)
        return Codes(mean, (log_var / 2).exp())

    def decode(self, z: Tensor) -> Tensor:
        """One step from z alone: p_O at u = 0, where theta is the prior."""
        prior = self.flow.prior((len(z), *self.data.shape), z.device)
        return self._log_probs(prior, torch.zeros(len(z), device=z.device), z)[..., 1].exp()

    def reconstruct(self, x: Tensor, z: Tensor) -> Tensor:
        """p_O at u = 1 from the noise-free theta_1 of x, with z: near-exact for any z, which says nothing of z."""
        one = torch.ones(len(x), device=x.device)
        return self._log_probs(self.flow.mean_logits(x.long(), one), one, z)[..., 1].exp()

    def generate(self, z: Tensor, rng: Rng, n_steps: int) -> Tensor:
        return ancestral(self.flow, self._log_probs, z, self.data.shape, rng, n_steps)

    def sample(self, n: int, rng: Rng, n_steps: int) -> Tensor:
        """Ancestral samples (Eq. 4) with one z ~ N(0, I) per image, kept through all steps."""
        z = rng.normal("z", (n, self.net.latent_dim))
        return self.generate(z, rng, n_steps)

    def nll(self, x: Tensor, rng: Rng) -> Nll:
        """Continuous-time flow loss (one stratified time per image) plus reconstruction at u = 1.

        self: z_u is internal noise of the receiver, redrawn at each u, and by Jensen's inequality the bound needs
        no KL. Otherwise one z ~ q(z | theta_1) serves all u and its KL to the prior is part of the bound.
        """
        x = x.long()
        u, one = rng.stratified("u", len(x)), torch.ones(len(x), device=x.device)
        theta_u, theta_1 = self.flow.sample(x, u, rng.at("theta")), self.flow.sample(x, one, rng.at("theta 1"))
        # q(z | x) averages over a theta_1 of its own: given x, the code is independent of the flow it decodes
        mean, log_var = self._posterior(self.flow.sample(x, one, rng.at("theta of z")), one)
        z_1 = reparametrise(mean, log_var, rng.normal("z 1", tuple(mean.shape)))
        if self.config.z_source == "self":
            z_u = reparametrise(*self._posterior(theta_u, u), rng.normal("z", tuple(mean.shape)))
            kl = torch.zeros(len(x), device=x.device)
        else:
            z_u, kl = z_1, kl_standard_normal(mean, log_var)
        reconstruction = self.flow.reconstruction_nll(x, self._log_probs(theta_1, one, z_1)).flatten(1).sum(1)
        return Nll(self._flow_loss(x, u, self._log_probs(theta_u, u, z_u)) + reconstruction, kl)

    def decoder_loss(self, x: Tensor, swap: Swap, rng: Rng) -> dict[str, Tensor]:
        """Flow loss at fixed u, with codes from the source that training used."""
        x, losses = x.long(), {}
        for time in self.usage_times:
            at = rng.at(f"u={time}")
            u = torch.full((len(x),), time, device=x.device)
            theta = self.flow.sample(x, u, at.at("theta"))
            mean, log_var = self._posterior(*self._source(x, theta, u, at))
            z = reparametrise(mean, log_var, at.normal("z", tuple(mean.shape)))
            losses[f"u={time}"] = self._flow_loss(x, u, self._log_probs(theta, u, swap(z)))
        return losses

    def _source(self, x: Tensor, theta: Tensor, u: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """theta_s and s that the code is read from."""
        if self.config.z_source == "self":
            return theta, u
        s = torch.ones_like(u)
        if self.config.z_source == "ahead":
            s = u + (1 - u) * rng.uniform("s", (len(u),))
        if self.config.path == "joint":
            return self.flow.continue_path(theta, x, u, s, rng.at("ahead")), s
        return self.flow.sample(x, s, rng.at("ahead")), s

    def _posterior(self, theta: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | theta_u, u), each (N, d)."""
        return self.encoder(self.flow.network_input(theta), u).float().chunk(2, 1)

    def _log_probs(self, theta: Tensor, u: Tensor, z: Tensor) -> Tensor:
        """log p_O(. | theta, u, z), (N, C, H, W, K)."""
        return self.flow.output_log_probs(self.decoder(self.flow.network_input(theta), u, z))

    def _flow_loss(self, x: Tensor, u: Tensor, log_p: Tensor) -> Tensor:
        """Nats per image, (N,)."""
        return self.flow.loss(x, log_p, u).flatten(1).sum(1)
