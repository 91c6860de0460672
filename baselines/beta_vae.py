"""beta-VAE: a VAE whose KL has another weight, or is held at a capacity."""

from pydantic import Field, model_validator
from torch import Tensor

from baselines.vae import Vae, VaeConfig
from paramrel.rng import Rng


class BetaVaeConfig(VaeConfig):
    """Settings of the beta-VAE."""

    beta: float = Field(4.0, ge=0)
    """Weight of the KL. (The official InfoDiffusion scripts give none.)"""
    capacity: float | None = Field(None, gt=0)
    """C in nats (arXiv 1804.03599; the official code has 25): beta |KL - C(t)| in place of beta KL, with C(t) rising
    linearly from 0 to C over the training."""

    @model_validator(mode="after")
    def _one_schedule(self) -> "BetaVaeConfig":
        if self.capacity is not None and self.kl_warmup:
            raise ValueError("capacity and kl_warmup are two schedules for one term: give one of them")
        return self


class BetaVae(Vae[BetaVaeConfig]):
    """-E log p(x | z) + beta KL[q(z | x) || N(0, I)]. Without a warm-up beta = 4 collapses on small images."""

    name = "beta_vae"
    version = 1
    title = "beta-VAE"
    source = "I. Higgins et al., ICLR 2017; capacity: C. P. Burgess et al., arXiv 1804.03599"
    Config = BetaVaeConfig

    def regulariser(self, kl: Tensor, z: Tensor, rng: Rng) -> tuple[Tensor, float, dict[str, Tensor]]:
        """beta KL (ICLR 2017, Eq. 4), with the VAE's warm-up; or beta |KL - C(t)| (arXiv 1804.03599)."""
        if self.config.capacity is not None:
            return self.config.beta * (kl - self.config.capacity * self.progress).abs(), 0.0, {}
        return self.config.beta * (self._warmth() * kl), 0.0, {}
