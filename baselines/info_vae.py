"""InfoVAE (arXiv 1706.02262): a KL per image traded against a divergence of all codes from the prior."""

from pydantic import Field, model_validator
from torch import Tensor

from baselines.vae import Vae, VaeConfig
from paramrel.divergences import Kernel, check_mmd_weight, mmd
from paramrel.rng import Rng


class InfoVaeConfig(VaeConfig):
    """Settings of InfoVAE."""

    alpha: float = Field(1.0, ge=0, le=1)
    """Mutual-information weight: the KL has weight 1 - alpha."""
    lambda_mmd: float = Field(0.1, ge=0)
    """lambda: the MMD has weight alpha + lambda - 1, which may not be negative (it would push codes off the prior)."""
    kernel: Kernel = "rbf"

    @model_validator(mode="after")
    def _mmd_pulls(self) -> "InfoVaeConfig":
        check_mmd_weight("alpha", self.alpha, self.lambda_mmd)
        return self

    @property
    def mmd_weight(self) -> float:
        """alpha + lambda - 1."""
        return round(self.alpha + self.lambda_mmd - 1, 12)


class InfoVae(Vae[InfoVaeConfig]):
    """-E log p(x | z) + (1 - alpha) KL + (alpha + lambda - 1) MMD[q(z), N(0, I)].

    Codes are means, as the decoder's z is a sample around them. (The official code regularises and decodes
    samples but evaluates a third, untrained quantity.)
    """

    name = "info_vae"
    version = 1
    title = "InfoVAE"
    source = "S. Zhao, J. Song, S. Ermon, arXiv 1706.02262"
    Config = InfoVaeConfig

    def regulariser(self, kl: Tensor, z: Tensor, rng: Rng) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """(1 - alpha) KL, with the VAE's warm-up, and (alpha + lambda - 1) MMD (arXiv 1706.02262)."""
        discrepancy = mmd(z, rng.normal("prior", tuple(z.shape)), self.config.kernel)
        return (
            (1 - self.config.alpha) * (self._warmth() * kl),
            self.config.mmd_weight * discrepancy,
            {"mmd": discrepancy},
        )
