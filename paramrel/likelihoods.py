"""The likelihood of one value in bins, in nats: what every method's bound is made of."""

import torch
from torch import Tensor


def binned_gaussian_nll(mean: Tensor, std: Tensor, x: Tensor, centres: Tensor) -> Tensor:
    """-log of the probability that N(mean, std^2) gives the bin of x, per element.

    ``x`` holds values of ``centres`` (K,), which are evenly spaced; a bin reaches half-way to its neighbours and the
    end bins take the tails, so that the K probabilities sum to 1 (BFN paper, section 5). ``mean`` and ``std``
    broadcast against ``x``, in the units of ``centres``.
    """
    half = (centres[1] - centres[0]) / 2
    upper = torch.where(x > centres[-1] - half, torch.inf, (x + half - mean) / std)
    lower = torch.where(x < centres[0] + half, -torch.inf, (x - half - mean) / std)
    # on the side where both ends are positive, the mirrored interval keeps the difference from rounding to 0
    flip = lower > 0
    lower, upper = torch.where(flip, -upper, lower), torch.where(flip, -lower, upper)
    log_upper, log_lower = torch.special.log_ndtr(upper), torch.special.log_ndtr(lower)
    return -(log_upper + torch.log1p(-(log_lower - log_upper).exp().clamp(max=1 - 1e-7)))
