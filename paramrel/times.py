"""Densities of flow times in training, and the weight of the squared error that goes with each.

With v = kappa x + n (``flows.Flow``) the signal-to-noise ratio at u is beta(u); in a diffusion it is
abar/(1 - abar). So each time of a diffusion is a time of a flow: the one with as much noise.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from paramrel.flows import Flow

BETA_FIRST, BETA_LAST = 0.1, 20.0
"""T beta_1 and T beta_T of DDPM (arXiv 2006.11239: 1e-4 and .02 with T = 1000), in the limit of many steps."""


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
    """The log-SNR density of DDPM's linear schedule, and the squared error of the noise, beta(u) |x - xhat|^2, as in its
    simple loss (arXiv 2006.11239, Eq. 14); of x itself where theta is dropped."""

    term = "eps"

    def draw(self, uniform: Tensor) -> Tensor:
        return ddpm_times(self.flow, uniform)

    def weight(self, u: Tensor, hidden: Tensor) -> Tensor:
        return torch.where(hidden, 1.0, self.flow.beta(u))


def training_times(name: Literal["uniform", "ddpm"], flow: Flow) -> Times | None:
    """The density called ``name``; None for the flow's own times and weights."""
    return None if name == "uniform" else DdpmTimes(flow)


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
