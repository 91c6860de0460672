"""Flow times in training by the log-SNR density of a diffusion with a linear schedule.

With v = kappa x + n (``flows.Flow``) the signal-to-noise ratio at u is beta(u); in a diffusion it is
abar/(1 - abar). So each time of a diffusion is a time of a flow: the one with as much noise.
"""

import torch
from torch import Tensor

from paramrel.flows import Flow

BETA_FIRST, BETA_LAST = 0.1, 20.0
"""T beta_1 and T beta_T of DDPM (arXiv 2006.11239: 1e-4 and .02 with T = 1000), in the limit of many steps."""


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
