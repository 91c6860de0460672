"""Sanity row: the encoder at its random start."""

from torch import Tensor

from paramrel.data import DataSet
from paramrel.method import Codes, NoConfig, Untrained
from paramrel.mlp import Mlp
from paramrel.networks import Encoder
from paramrel.settings import Network


class UntrainedEncoder(Untrained[NoConfig]):
    """The shared encoder trunk with random weights: what architecture alone gives."""

    name = "untrained"
    title = "untrained encoder"
    source = "sanity row"
    tables = True

    def __init__(self, data: DataSet, net: Network, config: NoConfig) -> None:
        super().__init__(data, net, config)
        self.encoder: Mlp | Encoder
        if data.kind == "mixed":
            self.encoder = Mlp(data.shape[0], net.latent_dim, net, time=False)
        else:
            self.encoder = Encoder(data.shape[0], net.latent_dim, data.shape[1:], net, time=False)

    def encode(self, x: Tensor) -> Codes:
        return Codes(self.encoder(2 * x - 1).float())
