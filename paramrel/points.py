"""Codes that are points: the Gaussian that they are scattered like, and what the likelihood's bound makes of one."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from paramrel.divergences import kl_standard_normal
from paramrel.rng import Rng

WIDTH = 0.1
"""Standard deviation that the bound gives to a point, in units of the codes' own."""
N_MEASURED = 10_000
"""Training images whose codes are measured, at most."""


class Scatter(nn.Module):
    """N(mean, diag std^2) of the training images' codes, measured when training is done.

    Nothing ties a code that is a point to N(0, I): this Gaussian takes its place as prior, so that samples and bound
    do not depend on the scale that the codes happen to have.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    def measure(self, z: Tensor) -> None:
        """Take mean and standard deviation of the codes z (N, d); a latent that is constant keeps a width above 0."""
        self.mean.copy_(z.mean(0))
        self.std.copy_(z.std(0, correction=0).clamp_min(1e-6))

    def place(self, noise: Tensor) -> Tensor:
        """N(0, I) to codes, (N, d)."""
        return self.mean + self.std * noise

    def widen(self, z: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        """A point z as N(z, (WIDTH std)^2): a draw of it (N, d), and its KL to the scatter in nats, (N,).

        A point's own KL is infinite; with any width the sum of KL and reconstruction is a bound.
        """
        kl = kl_standard_normal((z - self.mean) / self.std, torch.full_like(z, 2 * math.log(WIDTH)))
        return z + WIDTH * self.std * eps, kl


def some_of(images: np.ndarray, rng: Rng, size: int = 500) -> list[Tensor]:
    """The images that codes are measured on, drawn without replacement, as methods take them: ``size`` at a time."""
    chosen = rng.permutation("images", len(images))[:N_MEASURED].cpu().numpy()
    return [part.float().to(rng.device) for part in torch.from_numpy(images[chosen]).split(size)]
