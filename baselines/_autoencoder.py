"""What AE, VAE, beta-VAE and InfoVAE share: encoder trunk, matched decoder, likelihood, scale of the loss."""

from abc import ABC
from typing import ClassVar, Literal, TypeVar

from torch import Tensor

from baselines._observation import observation
from paramrel.data import DataSet
from paramrel.method import LossTerms, Method, Swap
from paramrel.networks import Decoder, Encoder, budget, matched, n_parameters
from paramrel.rng import Rng
from paramrel.settings import Frozen, Network

Scaling = Literal["elbo", "official"]


class AutoencoderConfig(Frozen):
    """Settings of every autoencoder."""

    scaling: Scaling = "elbo"
    """elbo: data term and KL both summed, nats per image, then divided by D. official: as in the InfoDiffusion code,
    the data term averaged over D and the KL summed over d, an effective beta of D/2 (docs/loss_scales.md)."""


A = TypeVar("A", bound=AutoencoderConfig)


class Autoencoder(Method[A], ABC):
    """Encoder and decoder around a code of d numbers."""

    stochastic: ClassVar[bool] = True
    """Whether the encoder gives a Gaussian posterior (mean and log-variance) or a point."""
    Config = AutoencoderConfig

    def __init__(self, data: DataSet, net: Network, config: A) -> None:
        super().__init__(data, net, config)
        n_channels, side = data.shape[0], data.shape[1:]
        n_out = (2 if self.stochastic else 1) * net.latent_dim
        self.encoder = Encoder(n_channels, n_out, side, net, time=False)
        n_left = budget(data.shape, net) - n_parameters(self.encoder)
        self.decoder = matched(lambda extra: Decoder(n_channels, side, net, extra=extra), n_left)
        self.observation = observation(data, learned_scale=config.scaling == "elbo")

    def decode(self, z: Tensor) -> Tensor:
        return self.observation.image(self._out(z))

    def generate(self, z: Tensor, rng: Rng, n_steps: int) -> Tensor:
        """The most likely image."""
        return self.observation.mode(self._out(z))

    def decoder_loss(self, x: Tensor, swap: Swap, rng: Rng) -> dict[str, Tensor]:
        return {"x": self.observation.nll(self._out(swap(self._draw(x, rng))), x)}

    def _draw(self, x: Tensor, rng: Rng) -> Tensor:
        """The code that the decoder is given in training, (N, d)."""
        return self.encode(x).mean

    def _out(self, z: Tensor) -> Tensor:
        return self.decoder(z).float()

    def _terms(
        self,
        out: Tensor,
        x: Tensor,
        data: Tensor,
        nats: Tensor | float,
        unitless: Tensor | float,
        reported: dict[str, Tensor],
    ) -> LossTerms:
        """What is minimised, from ``data``, the mean nats per image of ``out``, and the regularisers' batch means.

        elbo: (data + nats)/D + unitless. official: the mean of ``Observation.official_error`` + nats + unitless.
        """
        if self.config.scaling == "official":
            total = self.observation.official_error(out, x).mean() + nats + unitless
        else:
            total = (data + nats) / self.data.n_dims + unitless
        terms = {"reconstruction": data} | reported
        return LossTerms(total, {name: term.detach() for name, term in terms.items()})
