"""Sanity row: the encoder at its random start."""

from torch import Tensor

from paramrel.data import DataSet
from paramrel.method import Codes, Untrained
from paramrel.mlp import Mlp
from paramrel.networks import Encoder
from paramrel.settings import Frozen, Network


class UntrainedEncoder(Untrained):
    """The shared encoder trunk with random weights: what architecture alone gives."""

    name = "untrained"
    title = "untrained encoder"
    source = "sanity row"
    tables = True

    def __init__(self, data: DataSet, net: Network, config: Frozen) -> None:
        super().__init__(data, net, config)
        n_channels, *side = data.shape
        if data.kind == "mixed":
            self.encoder = Mlp(n_channels, net.latent_dim, net, time=False)
        else:
            self.encoder = Encoder(n_channels, net.latent_dim, tuple(side), net, time=False)

    def encode(self, x: Tensor) -> Codes:
        return Codes(self.encoder(2 * x - 1).float())
