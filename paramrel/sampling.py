"""Samplers of Bayesian flows: ancestral, and the probability-flow ODE in both directions."""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from paramrel.flows import Flow, Output
from paramrel.progress import progress
from paramrel.rng import Rng

Decode = Callable[[Tensor, Tensor, Tensor], Output]
"""(theta, u (N,), z) to the output distribution."""
CodeOf = Callable[[int, Tensor, Tensor], Tensor]
"""(step, theta, u (N,)) to the codes of that step."""
Solver = Literal["euler", "heun"]


def ancestral(flow: Flow, decode: Decode, code_of: CodeOf, shape: tuple[int, ...], rng: Rng, n_steps: int) -> Tensor:
    """Draw images of ``shape`` (N, C, H, W), values in [0, 1].

    Eq. 4 of the ParamReL paper (arXiv 2405.15268), with the first update from a drawn output; without codes Algorithms
    3, 6 and 9 of the BFN paper (arXiv 2308.07037). For i = 1..n: decode at u = (i - 1)/n, draw x from the output
    distribution, send it with accuracy alpha_i, update theta; then decode once more at u = 1 and take the mode. All
    noise comes from ``rng``. Raises ``Unsupported`` where the flow knows no such number of steps (``Flow.alpha``).
    """
    theta = flow.prior(shape, rng.device)
    for i in progress(range(n_steps), what="sampling", brief=True):
        u = torch.full(shape[:1], i / n_steps, device=rng.device)
        x = flow.draw(decode(theta, u, code_of(i, theta, u)), rng.at("draw", i))
        alpha = flow.alpha(i + 1, n_steps)
        theta = flow.update(theta, flow.send(x, alpha, rng.at("send", i)), flow.beta(u[:1]), alpha)
    one = torch.ones(shape[:1], device=rng.device)
    return flow.to_images(flow.mode(decode(theta, one, code_of(n_steps, theta, one))))


def integrate(
    flow: Flow,
    decode: Decode,
    v: Tensor,
    z: Tensor,
    start: float,
    end: float,
    n_steps: int,
    solver: Solver = "heun",
    fixed_point: int = 0,
) -> Tensor:
    """Solve dv/dkappa = xhat(theta(v), u(kappa), z) from u = start to u = end with z held fixed; v (N, ...).

    This is the probability-flow ODE (arXiv 2011.13456, section 4.3) of the channel v = kappa x + n, n ~ N(0, I), in its
    own units. Euler, or Heun's second-order steps.

    ``n_steps`` steps of equal length in u. Forwards from 0 to 1 this makes data from a subcode, backwards it is
    reverse sampling. With ``fixed_point`` > 0 every step inverts the step in the other direction by so many
    fixed-point iterations: a round trip is as accurate as these are, whatever the error of the solver. Every
    second one goes half way only: where the flow is sharp an iteration turns an error e into -L e, and a half one into
    (1 - L) e/2, so that a pair converges up to L = 2 and not up to 1.
    """
    times = torch.linspace(start, end, n_steps + 1, dtype=torch.float64).tolist()
    n = len(v)

    def xhat(v: Tensor, time: float) -> Tensor:
        u = torch.full((n,), time, device=v.device)
        return flow.direction(decode(flow.from_v(v, u), u, z))

    def increment(v: Tensor, a: float, b: float) -> Tensor:
        """What the solver adds to v on the way from u = a to u = b."""
        kappa = flow.kappa(torch.tensor([a, b], dtype=torch.float64))
        h = (kappa[1] - kappa[0]).to(v)
        slope = xhat(v, a)
        if solver == "heun":
            slope = (slope + xhat(v + h * slope, b)) / 2
        return h * slope

    for _, (a, b) in zip(progress(range(n_steps), what="integrating", brief=True), pairwise(times), strict=True):
        stepped = v + increment(v, a, b)
        for i in range(fixed_point):
            error = v - increment(stepped, b, a) - stepped
            stepped = stepped + error / (1 + i % 2)
        v = stepped
    return v
