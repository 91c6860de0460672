"""Densities of flow times in training, and the weight of the squared error that goes with each.

With v = kappa x + n (``flows.Flow``) the signal-to-noise ratio at u is beta(u); in a diffusion it is
abar/(1 - abar). So each time of a diffusion is a time of a flow: the one with as much noise.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from paramrel.flows import Flow
from paramrel.settings import Frozen

BETA_FIRST, BETA_LAST = 0.1, 20.0
"""T beta_1 and T beta_T of DDPM (arXiv 2006.11239: 1e-4 and .02 with T = 1000), in the limit of many steps."""


class TimesConfig(Frozen):
    """Settings of ``times: edm``, for flows and for diffusions."""

    later: ClassVar[tuple[str, ...]] = ("times_centre", "times_width", "times_uniform")

    times_centre: float = -0.5
    """Mean of ln sigma, where sigma is the noise's standard deviation over the signal's, for images in [-1, 1]. Larger
    images show more at the same sigma: add the logarithm of the ratio of their sides (.69 from 32x32 to 64x64)."""
    times_width: float = Field(1.3, gt=0)
    """Standard deviation of ln sigma."""
    times_uniform: float = Field(0.3, ge=0, le=1)
    """Share of the images whose times are uniform, as with ``times: uniform``: the clean times, of which the density
    has few and the likelihood many."""


class Times(ABC):
    """A density of times other than the flow's own (u uniform, weights of the bound)."""

    term: ClassVar[str]
    """What the weighted squared error is called in a training's log."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow

    @abstractmethod
    def draw(self, uniform: Tensor) -> Tensor:
        """Flow times u (N,) from numbers in [0, 1), (N,): the density's quantiles, so strata stay strata."""

    @abstractmethod
    def weight(self, u: Tensor, hidden: Tensor) -> Tensor:
        """Weight of |x - xhat|^2 (``Flow.squared_error``) at u, (N,); ``hidden``, bool (N,): theta was dropped."""


class DdpmTimes(Times):
    """The log-SNR density of DDPM's linear schedule, and the squared error of the noise, beta(u) |x - xhat|^2, as in
    its simple loss (arXiv 2006.11239, Eq. 14); of x itself where theta is dropped."""

    term = "eps"

    def draw(self, uniform: Tensor) -> Tensor:
        return ddpm_times(self.flow, uniform)

    def weight(self, u: Tensor, hidden: Tensor) -> Tensor:
        return torch.where(hidden, 1.0, self.flow.beta(u))


class EdmTimes(Times):
    """Times where images are decided: ln sigma ~ N(centre, width^2) with sigma = 1/kappa, mixed with uniform u.

    The density is that of Karras et al. (arXiv 2206.00364, section 5; theirs is N(-1.2, 1.2^2)), cut off at the least
    noise that the flow reaches (kappa(1) of binary images is 3). A share of the images has uniform u instead. All count
    by the squared error of v = sqrt(gamma) n - sqrt(1 - gamma) x (arXiv 2202.00512) with gamma = beta/(1 + beta), which
    is (1 + beta(u)) |x - xhat|^2; where theta is dropped, by that of u = 0, |x - xhat|^2. (With preconditioning in
    place of 1 + beta one over the model's posterior variance, ``Flow.error_weight``.) In a Gaussian flow the bound at
    uniform u is the same error times -ln sigma_1, so the uniform share trains the bound.
    """

    term = "v"

    def __init__(self, flow: Flow, config: TimesConfig) -> None:
        super().__init__(flow)
        self.config = config

    def draw(self, uniform: Tensor) -> Tensor:
        """Stratified numbers give strata in both parts of the mixture, whose sizes are then exact up to one image."""
        config, one = self.config, torch.ones((), dtype=torch.float64, device=uniform.device)
        from_density, quantile = split(uniform.double(), 1 - config.times_uniform)
        least = -self.flow.beta(one).log().item() / 2
        log_sigma = cut_normal(quantile, config.times_centre, config.times_width, least, math.inf)
        u = self.flow.time_at((-2 * log_sigma).exp()).clamp(0, 1)
        return torch.where(from_density, u, quantile).float()

    def weight(self, u: Tensor, hidden: Tensor) -> Tensor:
        return self.flow.error_weight(torch.where(hidden, 0.0, u))


def split(uniform: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Numbers in [0, 1) below ``share`` (bool), and their place in [0, 1] among those on their side of it."""
    below = uniform < share
    return below, torch.where(below, uniform / max(share, 1e-12), (uniform - share) / max(1 - share, 1e-12)).clamp(0, 1)


def cut_normal(quantile: Tensor, mean: float, std: float, lowest: float, highest: float) -> Tensor:
    """Quantiles (in [0, 1], float64) of N(mean, std^2) cut off outside of ``lowest`` to ``highest``."""
    ends = torch.tensor([lowest, highest], dtype=torch.float64, device=quantile.device)
    first, last = torch.special.ndtr((ends - mean) / std)
    inside = torch.special.ndtri(first + quantile * (last - first))
    return (mean + std * inside).clamp(lowest, highest)


def training_times(name: Literal["uniform", "ddpm", "edm"], flow: Flow, config: TimesConfig) -> Times | None:
    """The density called ``name``; None for the flow's own times and weights."""
    if name == "uniform":
        return None
    return DdpmTimes(flow) if name == "ddpm" else EdmTimes(flow, config)


def ddpm_snr(t: Tensor) -> Tensor:
    """abar/(1 - abar) at t in (0, 1], with -ln abar = .1 t + 9.95 t^2."""
    return 1 / torch.expm1(BETA_FIRST * t + (BETA_LAST - BETA_FIRST) / 2 * t**2)


def ddpm_time(snr: Tensor) -> Tensor:
    """The t of a signal-to-noise ratio > 0: the inverse of ``ddpm_snr``."""
    b, c = BETA_FIRST, torch.log1p(1 / snr)
    slope = BETA_LAST - BETA_FIRST
    return 2 * c / (b + torch.sqrt(b**2 + 2 * slope * c))


def ddpm_times(flow: Flow, uniform: Tensor) -> Tensor:
    """Flow times u (N,) from numbers in [0, 1), (N,): t is uniform over the part of the schedule whose ratios the flow
    reaches (at u = 1 its ratio is beta(1); less noisy times of the diffusion are left out)."""
    one = torch.ones((), dtype=torch.float64, device=uniform.device)
    first = ddpm_time(flow.beta(one))
    t = 1 - (1 - first) * uniform.double()
    return flow.time_at(ddpm_snr(t)).clamp(max=1).float()
