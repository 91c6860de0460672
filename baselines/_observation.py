"""What a decoder's output says about pixels: Bernoulli on binary images, Gaussian with one scale on the rest."""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paramrel.data import DataSet
from paramrel.likelihoods import LOG_SQRT_2PI, binned_gaussian_nll


class Observation(nn.Module, ABC):
    """p(x | out): ``out`` is what the decoder returns, x the images as methods take them, both (N, C, H, W)."""

    @abstractmethod
    def training_nll(self, out: Tensor, x: Tensor) -> Tensor:
        """What training minimises, in nats per image (N,): ``nll``, or a smooth stand-in for it."""

    @abstractmethod
    def nll(self, out: Tensor, x: Tensor) -> Tensor:
        """-log of the probability of the bins of x, in nats per image (N,): what is reported."""

    @abstractmethod
    def official_error(self, out: Tensor, x: Tensor) -> Tensor:
        """The data term at the official InfoDiffusion code's scale, a *mean* over D: (N,)."""

    @abstractmethod
    def image(self, out: Tensor) -> Tensor:
        """Expected image, in [0, 1]."""

    @abstractmethod
    def mode(self, out: Tensor) -> Tensor:
        """Most likely image: given z, independent pixel noise is all that is left to draw."""


class Bernoulli(Observation):
    """Binary pixels; ``out`` are logits."""

    def training_nll(self, out: Tensor, x: Tensor) -> Tensor:
        """-x log p - (1 - x) log(1 - p) with p = sigmoid(out), summed over D."""
        return F.binary_cross_entropy_with_logits(out, x, reduction="none").flatten(1).sum(1)

    def nll(self, out: Tensor, x: Tensor) -> Tensor:
        return self.training_nll(out, x)

    def official_error(self, out: Tensor, x: Tensor) -> Tensor:
        """Cross-entropy per pixel. (The official code knows no binary data; this is its scale applied to them.)"""
        return F.binary_cross_entropy_with_logits(out, x, reduction="none").flatten(1).mean(1)

    def image(self, out: Tensor) -> Tensor:
        return out.sigmoid()

    def mode(self, out: Tensor) -> Tensor:
        return (out > 0).float()


class Gaussian(Observation):
    """Grey or colour values: N(out, sigma^2) with one scalar sigma, learned (sigma-VAE, arXiv 2006.13202) or fixed.

    Training sees the density times the width of a bin (the bin's probability as long as sigma is wider than that),
    evaluation the probability itself. Fixed: sigma = 1 for images in
    [-1, 1], the scale at which the official code's mean squared error is a likelihood.
    """

    centres: Tensor
    GAIN = 10.0
    """log sigma = GAIN * parameter: at 1, Adam's steps would need thousands of them to bring sigma from 1 to .03."""

    def __init__(self, data: DataSet, *, learned: bool) -> None:
        super().__init__()
        self.scaled_log_std = nn.Parameter(torch.zeros(())) if learned else None
        self.register_buffer("centres", data.centres, persistent=False)

    @property
    def log_std(self) -> Tensor:
        """log sigma in units of [0, 1], a scalar."""
        if self.scaled_log_std is None:
            return torch.full((), -math.log(2.0), device=self.centres.device)
        return self.GAIN * self.scaled_log_std

    def training_nll(self, out: Tensor, x: Tensor) -> Tensor:
        """-log[width N(x; out, sigma^2)] = (x - out)^2/(2 sigma^2) + log sigma + log sqrt(2 pi) - log width, summed
        over D (arXiv 2006.13202, for bins of some width)."""
        log_std, log_width = self.log_std, (self.centres[1] - self.centres[0]).log()
        density = ((x - out) * (-log_std).exp()).square() / 2 + log_std + LOG_SQRT_2PI
        return (density - log_width).flatten(1).sum(1)

    def nll(self, out: Tensor, x: Tensor) -> Tensor:
        return binned_gaussian_nll(out, self.log_std.exp(), x, self.centres).flatten(1).sum(1)

    def official_error(self, out: Tensor, x: Tensor) -> Tensor:
        """Mean squared error of images in [-1, 1]."""
        return (2 * (x - out)).square().flatten(1).mean(1)

    def image(self, out: Tensor) -> Tensor:
        return out.clamp(0, 1)

    def mode(self, out: Tensor) -> Tensor:
        return self.image(out)


def observation(data: DataSet, *, learned_scale: bool = True) -> Observation:
    """The likelihood for a data set."""
    return Bernoulli() if data.binary else Gaussian(data, learned=learned_scale)
