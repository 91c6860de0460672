"""Step-indexed randomness: every draw is a pure function of (seed, axis, ..., name).

No draw depends on how many draws came before it, so a training that is killed and continued sees the same
numbers, and two methods with the same seed see the same order of images. Global random state is never used.

torch's generator on the CPU takes the low 32 bits of a seed, so among the draws of a long training (some 10^5) a pair
or two are the same stream by chance. Nothing here depends on streams of different steps being independent to that
degree.
"""

import hashlib
import json
from dataclasses import dataclass

import torch
from torch import Tensor


def derive_seed(*key: int | str) -> int:
    """63-bit seed of a key: sha256 of its canonical JSON (stable between processes, unlike ``hash``)."""
    digest = hashlib.sha256(json.dumps(key, separators=(",", ":")).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True)
class Rng:
    """A node in the tree of random streams, on one device.

    ``Rng((seed,)).at("loss", step).normal("eps", shape)`` is the same tensor in any process on the same kind
    of device. Names separate the draws of one node: asking for the same name twice gives the same numbers.
    """

    key: tuple[int | str, ...]
    device: torch.device = torch.device("cpu")

    def at(self, *key: int | str) -> "Rng":
        """The child stream at ``key`` (an axis, a step, an image index, ...)."""
        return Rng(self.key + key, self.device)

    def generator(self, name: str) -> torch.Generator:
        """A fresh generator for the draw called ``name``."""
        return torch.Generator(self.device).manual_seed(derive_seed(*self.key, name))

    def normal(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Standard normal float32 numbers of ``shape``."""
        return torch.randn(shape, generator=self.generator(name), device=self.device)

    def uniform(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Uniform float32 numbers in [0, 1) of ``shape``."""
        return torch.rand(shape, generator=self.generator(name), device=self.device)

    def permutation(self, name: str, n: int) -> Tensor:
        """A random order of 0..n-1, shape (n,), int64."""
        return torch.randperm(n, generator=self.generator(name), device=self.device)

    def stratified(self, name: str, n: int) -> Tensor:
        """n times in [0, 1), one in each of n equal strata, in random order: shape (n,).

        Each is uniform on [0, 1); together they cover it evenly, which lowers the variance of a time integral.
        """
        strata = (torch.arange(n, device=self.device) + self.uniform(name, (n,))) / n
        return strata.clamp(max=1 - 1e-7)[self.permutation(f"{name}/order", n)]
