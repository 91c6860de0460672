"""Autoencoder: the VAE's networks with a deterministic code and no regulariser."""

from torch import Tensor

from baselines._autoencoder import Autoencoder, AutoencoderConfig
from paramrel.errors import Unsupported
from paramrel.method import Codes, LossTerms, Nll
from paramrel.rng import Rng


class Ae(Autoencoder[AutoencoderConfig]):
    """-log p(x | z) of z = e(x), summed over D (nats per image)."""

    name = "ae"
    title = "AE"
    source = "G. E. Hinton, R. R. Salakhutdinov, Science 313, 2006; as a baseline arXiv 2306.08757"
    stochastic = False

    def loss(self, batch: Tensor, rng: Rng) -> LossTerms:
        """-log p(x | z) of z = e(x)."""
        out = self._out(self.encode(batch).mean)
        data = self.observation.training_nll(out, batch).mean()
        return self._terms(out, batch, data, 0.0, 0.0, {})

    def encode(self, x: Tensor) -> Codes:
        """The encoder sees images in [-1, 1]."""
        return Codes(self.encoder(2 * x - 1).float())

    def nll(self, x: Tensor, rng: Rng) -> Nll:
        raise Unsupported("its code is a point: the bound's KL would be infinite")
