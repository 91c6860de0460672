"""Variational autoencoder (arXiv 1312.6114)."""

from typing import TypeVar

from pydantic import Field
from torch import Tensor

from baselines._autoencoder import Autoencoder, AutoencoderConfig
from paramrel.divergences import kl_standard_normal, reparametrise
from paramrel.method import Codes, LossTerms, Nll
from paramrel.rng import Rng


class VaeConfig(AutoencoderConfig):
    """Settings of the VAE."""

    kl_warmup: float = Field(0.0, ge=0, le=1)
    """Fraction of the training over which the KL's weight rises linearly from 0 to its value. Short trainings on
    small images need it: without, most latents are pruned before the decoder has learned to use them."""


V = TypeVar("V", bound=VaeConfig)


class Vae(Autoencoder[V]):
    """ELBO: -E log p(x | z) + KL[q(z | x) || N(0, I)], summed over D and d (nats per image)."""

    name = "vae"
    version = 2
    title = "VAE"
    source = "D. P. Kingma, M. Welling, arXiv 1312.6114"
    Config = VaeConfig

    def loss(self, batch: Tensor, rng: Rng) -> LossTerms:
        """-log p(x | z) of one z ~ q(z | x), and ``regulariser``."""
        mean, log_var = self._posterior(batch)
        z = reparametrise(mean, log_var, rng.normal("z", tuple(mean.shape)))
        kl = kl_standard_normal(mean, log_var).mean()
        nats, unitless, reported = self.regulariser(kl, z, rng)
        out = self._out(z)
        data = self.observation.training_nll(out, batch).mean()
        return self._terms(out, batch, data, nats, unitless, {"kl": kl} | reported)

    def regulariser(self, kl: Tensor, z: Tensor, rng: Rng) -> tuple[Tensor, Tensor | float, dict[str, Tensor]]:
        """What the objective adds to the data term: scalars in nats per image, unitless scalars, and what is reported.

        Here the KL itself (arXiv 1312.6114, Eq. 10), with a weight that rises during the warm-up. ``kl`` is the
        batch mean of KL[q(z | x) || N(0, I)] in nats, ``z`` (N, d) are draws of q.
        """
        return self._warmth() * kl, 0.0, {}

    def encode(self, x: Tensor) -> Codes:
        mean, log_var = self._posterior(x)
        return Codes(mean, (log_var / 2).exp())

    def sample(self, n: int, rng: Rng, n_steps: int) -> Tensor:
        return self.generate(rng.normal("z", (n, self.net.latent_dim)), rng, n_steps)

    def nll(self, x: Tensor, rng: Rng) -> Nll:
        """The negative ELBO with weight 1, whatever the weights in training."""
        mean, log_var = self._posterior(x)
        z = reparametrise(mean, log_var, rng.normal("z", tuple(mean.shape)))
        return Nll(self.observation.nll(self._out(z), x), kl_standard_normal(mean, log_var))

    def _warmth(self) -> float:
        """Rises from 0 to 1 during the warm-up."""
        return min(1.0, self.progress / self.config.kl_warmup) if self.config.kl_warmup else 1.0

    def _draw(self, x: Tensor, rng: Rng) -> Tensor:
        mean, log_var = self._posterior(x)
        return reparametrise(mean, log_var, rng.normal("z", tuple(mean.shape)))

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each (N, d). The encoder sees images in [-1, 1]."""
        return self.encoder(2 * x - 1).float().chunk(2, 1)
