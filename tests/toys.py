"""What several tests build on: data sets that no command lists, methods with weights that matter, repeating streams."""

import numpy as np
import torch
from torch import Tensor

from paramrel.data import DataSet
from paramrel.data.digits import Digits
from paramrel.method import Method, method
from paramrel.networks import initialise
from paramrel.rng import Rng
from paramrel.settings import Network
from tests.conftest import TINY_NETWORK


class Repeated(Rng):
    """A stream whose second half of a batch repeats the first."""

    def at(self, *key):
        return Repeated(self.key + key, self.device)

    def normal(self, name, shape):
        return super().normal(name, (shape[0] // 2, *shape[1:])).repeat(2, *[1] * (len(shape) - 1))

    def uniform(self, name, shape):
        return super().uniform(name, (shape[0] // 2, *shape[1:])).repeat(2, *[1] * (len(shape) - 1))

    def stratified(self, name, n):
        return Rng(self.key, self.device).stratified(name, n // 2).repeat(2)


class BinnedDigits(Digits):
    """The digits in 16 bins: what the discretised flow is for."""

    name = "digits_16_bins"
    title = "digits (8x8, 16 bins)"
    levels = 15
    bins = 16
    kind = "discretised"

    def stored(self, images: np.ndarray) -> np.ndarray:
        return images.clip(max=15)


def build(name: str, data: DataSet, net: Network = TINY_NETWORK, stir: float = 0.1, **settings) -> Method:
    """An untrained method whose last layers are not 0 (``stir``: their standard deviation), so that all parts count."""
    cls = method(name)
    built = cls(data, net, cls.Config(**settings))
    initialise(built, Rng((0, "toys")))
    for layer in built.modules():
        if stir and getattr(layer, "zero_init", False):
            torch.nn.init.normal_(layer.weight, std=stir, generator=torch.Generator().manual_seed(1))
    return built.eval()


def images(data: DataSet, n: int) -> Tensor:
    """The first n held-out images, (n, C, H, W) in [0, 1]."""
    return torch.from_numpy(data.evaluation_images("test", slice(n))[0]).float()


def train(built: Method, steps: int, rate: float = 5e-3) -> Method:
    """A short training on a thousand images."""
    x = torch.from_numpy(built.data.evaluation_images("train")[0][:1000]).float()
    optimiser = torch.optim.AdamW(built.parameters(), rate)
    for step in range(steps):
        rng = Rng((0, "toys", step))
        built.progress = step / steps
        terms = built.loss(x[rng.permutation("i", len(x))[:64]], rng)
        optimiser.zero_grad()
        terms.total.backward()
        optimiser.step()
    return built.eval()
