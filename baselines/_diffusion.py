"""Denoising diffusion (arXiv 2006.11239) with deterministic samplers (DDIM, arXiv 2010.02502).

Times are t = 0..T: t = 0 is the data, t = T noise, so abar_0 = 1. (Code that counts its T times from 0 calls our t
its t - 1.) x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps.
"""

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from paramrel.errors import UserError
from paramrel.likelihoods import binned_gaussian_nll

Predict = Callable[[Tensor, Tensor], Tensor]
"""(x_t (N, ...), t (N,) int64) to the predicted eps (N, ...)."""


class Diffusion(nn.Module):
    """A noise schedule with linear beta_1..beta_T, and what follows from it. Has no weights."""

    signal: Tensor
    """sqrt(abar_t), (T + 1,)."""
    noise: Tensor
    """sqrt(1 - abar_t), (T + 1,)."""
    log_sigma: Tensor
    """ln of noise over signal at t = 1..T, (T,), rising, float64."""
    bound_weight: Tensor
    """(SNR(t - 1) - SNR(t))/2 for t >= 2, (T + 1,)."""

    def __init__(self, n_times: int, beta_first: float, beta_last: float) -> None:
        super().__init__()
        self.n_times = n_times
        betas = torch.linspace(beta_first, beta_last, n_times, dtype=torch.float64)
        abar = torch.cat((torch.ones(1, dtype=torch.float64), torch.cumprod(1 - betas, 0)))
        snr = abar[1:] / (1 - abar[1:])
        weight = torch.cat((torch.zeros(2, dtype=torch.float64), (snr[:-1] - snr[1:]) / 2))
        self.register_buffer("signal", abar.sqrt().float(), persistent=False)
        self.register_buffer("noise", (1 - abar).sqrt().float(), persistent=False)
        self.register_buffer("log_sigma", -snr.log() / 2, persistent=False)
        self.register_buffer("bound_weight", weight.float(), persistent=False)
        kept = np.cumprod(1 - np.linspace(beta_first, beta_last, n_times))
        self.levels = -np.log(kept / (1 - kept)) / 2
        """``log_sigma`` on the host, (T,): a choice of times waits for no GPU."""

    def draw_times(self, u: Tensor) -> Tensor:
        """Uniform times 1..T from u in [0, 1), (N,)."""
        return 1 + (u * self.n_times).long().clamp(max=self.n_times - 1)

    def nearest_times(self, log_sigma: Tensor) -> Tensor:
        """The times 1..T whose ln(noise/signal) are nearest to ``log_sigma`` (N,), float64."""
        between = (self.log_sigma[:-1] + self.log_sigma[1:]) / 2
        return 1 + torch.searchsorted(between, log_sigma)

    def diffuse(self, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t of x_0, (N, ...)."""
        return at(self.signal, t, x_0) * x_0 + at(self.noise, t, x_0) * eps

    def clean(self, x_t: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_0 that x_t and eps imply."""
        return (x_t - at(self.noise, t, x_t) * eps) / at(self.signal, t, x_t)

    def v(self, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """sqrt(abar_t) eps - sqrt(1 - abar_t) x_0 (arXiv 2202.00512), (N, ...)."""
        return at(self.signal, t, x_0) * eps - at(self.noise, t, x_0) * x_0

    def eps_of_v(self, x_t: Tensor, t: Tensor, v: Tensor) -> Tensor:
        """eps that x_t and v imply."""
        return at(self.noise, t, x_t) * x_t + at(self.signal, t, x_t) * v

    def step(self, x_t: Tensor, t: Tensor, s: Tensor, eps: Tensor, *, clip: bool = False) -> Tensor:
        """DDIM (eta = 0) from time t to time s, either way. ``clip``: the implied x_0 is clamped to [-1, 1] and eps
        derived anew from it (needs t >= 1)."""
        x_0 = self.clean(x_t, t, eps)
        if clip:
            x_0 = x_0.clamp(-1, 1)
            eps = (x_t - at(self.signal, t, x_t) * x_0) / at(self.noise, t, x_t)
        return self.diffuse(x_0, s, eps)

    def times(self, n_steps: int) -> list[int]:
        """0 = t_0 < ... < t_n = T, evenly spaced. Raises ``UserError`` for more steps than there are times."""
        if not 1 <= n_steps <= self.n_times:
            raise UserError(
                f"{n_steps} sampling steps of a diffusion with {self.n_times} times: give 1 to {self.n_times}"
            )
        return [round(self.n_times * i / n_steps) for i in range(n_steps + 1)]

    def sample(self, predict: Predict, x_T: Tensor, n_steps: int, *, clip: bool = False) -> Tensor:
        """x_0 from x_T by n DDIM steps."""
        x, times = x_T, self.times(n_steps)
        for t, s in zip(times[:0:-1], times[-2::-1], strict=True):
            t_, s_ = (torch.full((len(x),), value, device=x.device) for value in (t, s))
            x = self.step(x, t_, s_, predict(x, t_), clip=clip)
        return x

    def invert(self, predict: Predict, x_0: Tensor, n_steps: int) -> Tensor:
        """x_T that ``sample`` without clipping leads to x_0, up to an error that falls with n.

        Each step uses eps predicted at its noisy end's time, as the step back will, from the image at its clean end.
        """
        x, times = x_0, self.times(n_steps)
        for s, t in itertools.pairwise(times):
            s_, t_ = (torch.full((len(x),), value, device=x.device) for value in (s, t))
            x = self.step(x, s_, t_, predict(x, t_))
        return x

    def bound_term(self, x_0: Tensor, x_0_hat: Tensor, t: Tensor) -> Tensor:
        """KL[q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)] for t >= 2 in nats per image, (N,).

        p has the variance of q and the mean that ``x_0_hat`` implies, so the KL is
        (SNR(t - 1) - SNR(t))/2 |x_0 - x_0_hat|^2 (arXiv 2107.00630).
        """
        return self.bound_weight[t] * (x_0 - x_0_hat).square().flatten(1).sum(1)

    def prior_term(self, x_0: Tensor) -> Tensor:
        """KL[q(x_T | x_0) || N(0, I)] in nats per image, (N,)."""
        mean, variance = self.signal[-1] * x_0, self.noise[-1].square()
        return (mean.square() + variance - 1 - variance.log()).flatten(1).sum(1) / 2

    def end_term(self, x_0: Tensor, x_0_hat: Tensor, centres: Tensor) -> Tensor:
        """-log p(x_0 | x_1) in nats per image, (N,): bins of N(x_0_hat, beta_1), with values ``centres`` (K,)."""
        return binned_gaussian_nll(x_0_hat, self.noise[1], x_0, centres).flatten(1).sum(1)


def at(values: Tensor, t: Tensor, like: Tensor) -> Tensor:
    """values[t], shaped to broadcast against ``like``."""
    return values[t].reshape(-1, *[1] * (like.ndim - 1))
