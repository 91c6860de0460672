"""InfoDiffusion: DiffAE whose codes are tied to a prior by a KL and an MMD (arXiv 2306.08757)."""

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from baselines._autoencoder import Scaling
from baselines.diffae import DiffAe, DiffAeConfig
from paramrel.divergences import Kernel, check_mmd_weight, kl_standard_normal, mmd, reparametrise
from paramrel.errors import Unsupported
from paramrel.method import Codes, Nll
from paramrel.rng import Rng


class InfoDiffusionConfig(DiffAeConfig):
    """Settings of InfoDiffusion."""

    zeta: float = Field(1.0, ge=0, le=1)
    """Mutual-information weight: the KL has weight 1 - zeta."""
    lambda_mmd: float = Field(0.1, ge=0)
    """lambda: the MMD has weight zeta + lambda - 1, which may not be negative."""
    kernel: Kernel = "rbf"
    posterior: Literal["gaussian", "point"] = "gaussian"
    """gaussian: q(z | x) with mean and log-variance. point: z = e(x), as the official code runs without a KL."""
    scaling: Scaling = "elbo"
    """What the mean squared error of eps, averaged over D, is added to. elbo: KL/D. official: KL (docs/loss_scales.md)."""

    @model_validator(mode="after")
    def _weights(self) -> "InfoDiffusionConfig":
        check_mmd_weight("zeta", self.zeta, self.lambda_mmd)
        if self.posterior == "point" and self.zeta < 1:
            raise ValueError("posterior: point has no KL: set zeta to 1, or posterior to gaussian")
        return self

    @property
    def mmd_weight(self) -> float:
        """zeta + lambda - 1."""
        return round(self.zeta + self.lambda_mmd - 1, 12)


class InfoDiffusion(DiffAe):
    """DiffAE's loss + (1 - zeta) KL[q(z | x) || N(0, I)] + (zeta + lambda - 1) MMD[q(z), N(0, I)]."""

    name = "info_diffusion"
    title = "InfoDiffusion"
    source = "Y. Wang et al., arXiv 2306.08757"
    Config = InfoDiffusionConfig

    def encode(self, x: Tensor) -> Codes:
        mean, log_var = self._posterior(x)
        return Codes(mean, None if log_var is None else (log_var / 2).exp())

    def nll(self, x: Tensor, rng: Rng) -> Nll:
        """Variational bound with z ~ q(z | x): KL of z, then the terms of the diffusion at fixed z.

        The terms of t = 2..T are estimated at one stratified time per image. Training weighs them all alike
        (DDPM's simple loss), not as the bound does, so the bound is loose; it is a bound.
        """
        mean, log_var = self._posterior(x)
        if log_var is None:
            raise Unsupported("its code is a point: the bound's KL would be infinite")
        z = reparametrise(mean, log_var, rng.normal("z", tuple(mean.shape)))
        n_between = self.diffusion.n_times - 1
        t = 2 + (rng.stratified("t", len(x)) * n_between).long().clamp(max=n_between - 1)
        between = n_between * self._bound_term(x, t, z, rng.at("between"))
        first = torch.ones_like(t)
        end = self.diffusion.end_term(2 * x - 1, self._guess(x, first, z, rng.at("end")), self.centres)
        return Nll(between + end + self.diffusion.prior_term(2 * x - 1), kl_standard_normal(mean, log_var))

    def _head_width(self) -> int:
        return (2 if self.config.posterior == "gaussian" else 1) * self.net.latent_dim

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean and log-variance of q(z | x), each (N, d); no log-variance for a point."""
        head = self._head(x)
        return head.chunk(2, 1) if self.config.posterior == "gaussian" else (head, None)

    def _code(self, x: Tensor, rng: Rng) -> tuple[Tensor, Tensor | float, dict[str, Tensor]]:
        mean, log_var = self._posterior(x)
        z, regulariser, reported = mean, 0.0, {}
        if log_var is not None:
            z = reparametrise(mean, log_var, rng.normal("z", tuple(mean.shape)))
            kl = kl_standard_normal(mean, log_var).mean()
            scale = 1 if self.config.scaling == "official" else self.data.n_dims
            regulariser, reported = (1 - self.config.zeta) * kl / scale, {"kl": kl}
        discrepancy = mmd(z, rng.normal("prior", tuple(z.shape)), self.config.kernel)
        return z, regulariser + self.config.mmd_weight * discrepancy, reported | {"mmd": discrepancy}
