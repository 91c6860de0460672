"""Variational autoencoder (arXiv 1312.6114) with a Bernoulli likelihood."""

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from paramrel.data import DataSet
from paramrel.divergences import kl_standard_normal, reparametrise
from paramrel.method import Codes, LossTerms, Method, Nll, Swap
from paramrel.networks import Decoder, Encoder
from paramrel.rng import Rng
from paramrel.settings import Frozen, Network


class VaeConfig(Frozen):
    """Settings of the VAE."""

    kl_warmup: float = Field(0.0, ge=0, le=1)
    """Fraction of the training over which the KL's weight rises linearly from 0 to 1. Short trainings on small
    images need it: without, most latents are pruned before the decoder has learned to use them."""


class Vae(Method):
    """ELBO: -E log p(x | z) + KL[q(z | x) || N(0, I)], summed over D and d (nats per image).

    The official InfoDiffusion code averages the first term over D and sums the second over d, an effective
    beta of D/2 that collapses the model; here both are sums.
    """

    name = "vae"
    title = "VAE"
    source = "D. P. Kingma, M. Welling, arXiv 1312.6114"
    Config = VaeConfig

    def __init__(self, data: DataSet, net: Network, config: VaeConfig) -> None:
        super().__init__(data, net, config)
        n_channels, *side = data.shape
        self.encoder = Encoder(n_channels, 2 * net.latent_dim, tuple(side), net, time=False)
        self.decoder = Decoder(n_channels, tuple(side), net)

    @classmethod
    def skip(cls, data: DataSet) -> str | None:
        return None if data.binary else "the likelihood here is Bernoulli, for binary images"

    def loss(self, batch: Tensor, rng: Rng) -> LossTerms:
        mean, log_var = self._posterior(batch)
        z = reparametrise(mean, log_var, rng.normal("z", tuple(mean.shape)))
        reconstruction = self._data_nll(batch, z).mean()
        kl = kl_standard_normal(mean, log_var).mean()
        weight = min(1.0, self.progress / self.config.kl_warmup) if self.config.kl_warmup else 1.0
        total = (reconstruction + weight * kl) / self.data.n_dims
        return LossTerms(total, {"reconstruction": reconstruction.detach(), "kl": kl.detach()})

    def encode(self, x: Tensor) -> Codes:
        mean, log_var = self._posterior(x)
        return Codes(mean, (log_var / 2).exp())

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).float().sigmoid()

    def generate(self, z: Tensor, rng: Rng, n_steps: int) -> Tensor:
        """Most likely pixels: given z, independent pixel noise is all that is left to draw."""
        return (self.decode(z) > 0.5).float()

    def sample(self, n: int, rng: Rng, n_steps: int) -> Tensor:
        return self.generate(rng.normal("z", (n, self.net.latent_dim)), rng, n_steps)

    def nll(self, x: Tensor, rng: Rng) -> Nll:
        mean, log_var = self._posterior(x)
        z = reparametrise(mean, log_var, rng.normal("z", tuple(mean.shape)))
        return Nll(self._data_nll(x, z), kl_standard_normal(mean, log_var))

    def decoder_loss(self, x: Tensor, swap: Swap, rng: Rng) -> dict[str, Tensor]:
        mean, log_var = self._posterior(x)
        z = reparametrise(mean, log_var, rng.normal("z", tuple(mean.shape)))
        return {"x": self._data_nll(x, swap(z))}

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each (N, d). The encoder sees images in [-1, 1]."""
        return self.encoder(2 * x - 1).float().chunk(2, 1)

    def _data_nll(self, x: Tensor, z: Tensor) -> Tensor:
        """-log p(x | z) in nats per image, (N,)."""
        logits = self.decoder(z).float()
        return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
