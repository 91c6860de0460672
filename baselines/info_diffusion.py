"""InfoDiffusion: DiffAE whose codes are tied to a prior by a KL and an MMD (arXiv 2306.08757)."""

from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor

from baselines._autoencoder import Scaling
from baselines.diffae import DiffAe, DiffAeConfig
from paramrel.divergences import Kernel, check_mmd_weight, kl_standard_normal, mmd, reparametrise
from paramrel.method import Codes
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
    """What is added to the squared error of eps, averaged over D. elbo: KL/D. official: KL (docs/loss_scales.md)."""

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


class InfoDiffusion(DiffAe[InfoDiffusionConfig]):
    """DiffAE's loss + (1 - zeta) KL[q(z | x) || N(0, I)] + (zeta + lambda - 1) MMD[q(z), N(0, I)]."""

    name = "info_diffusion"
    title = "InfoDiffusion"
    source = "Y. Wang et al., arXiv 2306.08757"
    Config = InfoDiffusionConfig

    def encode(self, x: Tensor) -> Codes:
        mean, log_var = self._posterior(x)
        return Codes(mean, None if log_var is None else (log_var / 2).exp())

    def _head_width(self) -> int:
        return (2 if self.config.posterior == "gaussian" else 1) * self.net.latent_dim

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean and log-variance of q(z | x), each (N, d); no log-variance for a point."""
        head = self._head(x)
        if self.config.posterior == "point":
            return head, None
        mean, log_var = head.chunk(2, 1)
        return mean, log_var

    def _widened(self, x: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        mean, log_var = self._posterior(x)
        if log_var is None:
            return super()._widened(x, rng)
        return reparametrise(mean, log_var, rng.normal("z", tuple(mean.shape))), kl_standard_normal(mean, log_var)

    def _code(self, x: Tensor, rng: Rng) -> tuple[Tensor, Tensor | float, dict[str, Tensor]]:
        """The regulariser is (1 - zeta) KL + (zeta + lambda - 1) MMD (arXiv 2306.08757); the KL over D or not
        (``scaling``)."""
        mean, log_var = self._posterior(x)
        z, reported = mean, {}
        regulariser: Tensor | float = 0.0
        if log_var is not None:
            z = reparametrise(mean, log_var, rng.normal("z", tuple(mean.shape)))
            kl = kl_standard_normal(mean, log_var).mean()
            scale = 1 if self.config.scaling == "official" else self.data.n_dims
            regulariser, reported = (1 - self.config.zeta) * kl / scale, {"kl": kl}
        discrepancy = mmd(z, rng.normal("prior", tuple(z.shape)), self.config.kernel)
        return z, regulariser + self.config.mmd_weight * discrepancy, reported | {"mmd": discrepancy}
