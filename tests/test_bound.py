"""The likelihood is a bound: bits/dim of data whose entropy is known, by the methods' own ``loss`` and ``nll``.

One or four pixels, and two small multilayer perceptrons in place of the U-Nets, so that a training takes seconds.
"""

import math

import pytest
import torch
from torch import Tensor, nn

from metrics.bits_per_dim import BitsPerDim
from paramrel.data import DataSet
from paramrel.methods.paramrel_d import ParamRelD
from paramrel.methods.paramrel_discretised import ParamRelDiscretised
from paramrel.networks import initialise, time_embedding
from paramrel.rng import Rng
from tests.conftest import TINY_NETWORK

RNG = Rng((0, "bound"))
N_EVALUATED = 100_000


class Toy(DataSet):
    """Images of a few pixels, drawn from a distribution that is known."""

    name = title = source = licence = "toy"

    def load(self, split):
        raise NotImplementedError

    def draw(self, n: int, rng: Rng) -> Tensor:
        """(n, 1, H, W) in [0, 1]."""
        raise NotImplementedError


class Table(Toy):
    """Four binary pixels, dependent: a table of 16 probabilities."""

    shape = (1, 2, 2)
    levels, bins, kind, binarise = 1, 2, "discrete", "stored"
    p = torch.tensor([0.16, 0.04, 0.04, 0.05, 0.04, 0.05, 0.10, 0.03, 0.04, 0.09, 0.03, 0.03, 0.05, 0.03, 0.04, 0.18])
    bits = -(p * p.log2()).sum().item() / 4

    def draw(self, n, rng):
        state = torch.multinomial(self.p, n, replacement=True, generator=rng.generator("states"))
        return (state[:, None] >> torch.arange(4) & 1).float().reshape(n, 1, 2, 2)


class Mixture(Toy):
    """One pixel from a mixture of two peaks over 8 bins."""

    shape = (1, 1, 1)
    levels, bins, kind = 7, 8, "discretised"
    k = torch.arange(8.0)
    p = torch.exp(-(k - 1.5).square() / 2) + 0.7 * torch.exp(-(k - 5.5).square())
    p = p / p.sum()
    bits = -(p * p.log2()).sum().item()

    def draw(self, n, rng):
        k = torch.multinomial(self.p, n, replacement=True, generator=rng.generator("bins"))
        return ((2 * k + 1) / 16).reshape(n, 1, 1, 1)


class Perceptron(nn.Module):
    """Of theta, u (at angles up to 20 u: with so few steps faster ones are noise) and, in the decoder, z."""

    def __init__(self, n_in: int, n_out: int, shape: tuple[int, ...], width: int = 96) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.Sequential(
            nn.Linear(n_in + 16, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, n_out)
        )

    def forward(self, x: Tensor, u: Tensor, *z: Tensor) -> Tensor:
        out = self.layers(torch.cat((x.flatten(1), time_embedding(u / 50, 16), *z), 1))
        return out.reshape(len(out), *self.shape)


def small(base: type) -> type:
    """A method whose networks are perceptrons."""

    class Small(base):
        def make_networks(self, n_seen, n_in, n_out):
            d, sides = self.net.latent_dim, self.data.shape[1:]
            n = math.prod(sides)
            encoder = Perceptron(n * n_seen, 2 * d, (2 * d,))
            return encoder, Perceptron(n * n_in + d, n * n_out, (n_out, *sides))

    return Small


def bits(base: type, data: Toy, steps: int, **settings) -> tuple[float, float]:
    """bits/dim after a training, and its standard error over images."""
    built = small(base)(data, TINY_NETWORK, base.Config(**settings))
    initialise(built, RNG)
    built.fit(data.draw(2000, RNG.at("fit")).numpy(), RNG.at("fit"))
    optimiser = torch.optim.AdamW(built.parameters(), betas=(0.9, 0.99), weight_decay=0.0)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 1e-2 * min(1, (step + 1) / 20) * (1 + math.cos(math.pi * step / steps)) / 2
        optimiser.zero_grad()
        built.loss(data.draw(256, RNG.at("data", step)), RNG.at("loss", step)).total.backward()
        nn.utils.clip_grad_norm_(built.parameters(), 5.0)
        optimiser.step()
    built.eval()
    x = data.draw(N_EVALUATED, RNG.at("evaluation"))
    with torch.no_grad():
        nll = built.nll(x, RNG.at("nll"))
    arrays = {"nll_data": nll.data.numpy(), "nll_kl": nll.kl.numpy(), "x_test": x.numpy()}
    value = BitsPerDim().compute(arrays, 0).value
    return value, nll.total.std().item() / (data.n_dims * math.log(2) * N_EVALUATED**0.5)


@pytest.mark.parametrize("times", ["uniform", "edm"])
@pytest.mark.parametrize(
    ("base", "data"), [(ParamRelD, Table()), (ParamRelDiscretised, Mixture())], ids=["discrete", "discretised"]
)
def test_a_bound_stays_one_with_a_model_of_the_images_and_other_times(base, data, times):
    value, error = bits(base, data, 150, z_source="self", precondition="spectrum", estimate="both", times=times)
    assert data.bits - 3 * error < value < 1.5 * data.bits


@pytest.mark.parametrize(
    ("base", "data", "steps", "settings"),
    [
        (ParamRelD, Table(), 400, {}),
        # the sharp posteriors at the end of the flow are what takes long to learn: 350 steps are 9 % above the entropy
        (ParamRelDiscretised, Mixture(), 1500, {"sigma_1": 0.02}),
    ],
    ids=["discrete", "discretised"],
)
def test_bits_per_dim_are_never_below_the_entropy_and_within_5_percent(base, data, steps, settings):
    value, error = bits(base, data, steps, z_source="self", **settings)
    assert error < 0.01 * data.bits
    assert data.bits - 3 * error < value < 1.05 * data.bits
