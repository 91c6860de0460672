"""The likelihood of one value in bins, in nats: what every method's bound is made of."""

import torch
from torch import Tensor

LOG_SQRT_2PI = 0.9189385332046727
FAR = 1e4
"""Standard deviations beyond which the gradient of ``log_ndtr`` is noise in single precision, and from 5e4 on NaN."""


def binned_gaussian_nll(mean: Tensor, std: Tensor, x: Tensor, centres: Tensor) -> Tensor:
    """-log of the probability that N(mean, std^2) gives the bin of x, per element.

    ``x`` holds values of ``centres`` (K,), which are evenly spaced; a bin reaches half-way to its neighbours and the
    end bins take the tails, so that the K probabilities sum to 1 (BFN paper, section 5). ``mean`` and ``std``
    broadcast against ``x``, in the units of ``centres``. Values and gradients are finite at any distance that a
    square in the precision of ``x`` can hold.
    """
    half = (centres[1] - centres[0]) / 2
    upper = torch.where(x > centres[-1] - half, torch.inf, (x + half - mean) / std)
    lower = torch.where(x < centres[0] + half, -torch.inf, (x - half - mean) / std)
    # on the side where both ends are positive, the mirrored interval keeps the difference from rounding to 0
    flip = lower > 0
    lower, upper = torch.where(flip, -upper, lower), torch.where(flip, -lower, upper)
    near = _log_interval(lower.clamp(min=-FAR), upper.clamp(min=-FAR))
    return -torch.where(upper < -FAR, _log_interval_far(lower, upper.clamp(max=-FAR)), near)


def _log_interval(lower: Tensor, upper: Tensor) -> Tensor:
    """log(Phi(upper) - Phi(lower)) of ends at most ``FAR`` below 0, where not both are above it."""
    log_upper, log_lower = torch.special.log_ndtr(upper), torch.special.log_ndtr(lower)
    return log_upper + torch.log1p(-(log_lower - log_upper).exp().clamp(max=1 - 1e-7))


def _log_interval_far(lower: Tensor, upper: Tensor) -> Tensor:
    """The same of ends at least ``FAR`` below 0, by Phi(t) = phi(t) / -t up to a share of 1 / t^2.

    With w = upper - lower, phi(lower) / phi(upper) = exp(-w (w/2 - upper)).
    """
    width = (upper - lower).clamp(min=0, max=FAR)  # of tails, which are endless, as much as has any weight
    drop = (width * (width / 2 - upper)).clamp(min=1e-7)
    return -upper.square() / 2 - (-upper).log() - LOG_SQRT_2PI + (-torch.expm1(-drop)).log()
