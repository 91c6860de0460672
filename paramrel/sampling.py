"""Ancestral sampling through a Bayesian flow."""

from collections.abc import Callable

import torch
from torch import Tensor

from paramrel.flows import DiscreteFlow
from paramrel.rng import Rng


def ancestral(
    flow: DiscreteFlow,
    log_probs: Callable[[Tensor, Tensor, Tensor], Tensor],
    z: Tensor,
    shape: tuple[int, int, int],
    rng: Rng,
    n_steps: int,
) -> Tensor:
    """Draw images at fixed codes (Eq. 4 of the paper, with the first update made from a drawn output).

    For i = 1..n: decode at u = (i - 1)/n, draw an image from the output distribution, send it with accuracy
    alpha_i, update theta; then decode once more at u = 1 and return the mode. For binary data: {0., 1.} of
    (N, *shape). ``log_probs(theta, u, z)`` gives log p_O, (N, *shape, K).
    """
    theta = flow.prior((len(z), *shape), z.device)
    for i in range(1, n_steps + 1):
        u = torch.full((len(z),), (i - 1) / n_steps, device=z.device)
        step = rng.at("step", i)
        x = flow.draw(log_probs(theta, u, z), step)
        theta = flow.update(theta, flow.send(x, flow.alpha(i, n_steps), step))
    return log_probs(theta, torch.ones(len(z), device=z.device), z).argmax(-1).float()
