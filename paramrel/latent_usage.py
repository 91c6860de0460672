"""Is the latent used? The decoder's loss with own codes against permuted, mean and prior codes."""

import torch
from torch import Tensor

from paramrel.method import Method, Swap
from paramrel.rng import Rng


def derangement(n: int, rng: Rng) -> Tensor:
    """A random permutation of 0..n-1 that leaves nothing in place (n >= 2): a random cycle, (n,) int64."""
    order = rng.permutation("cycle", n)
    moved = torch.empty_like(order)
    moved[order] = order.roll(1)
    return moved


PRIOR_STEPS = 20
"""Steps of a prior over codes that is sampled in steps."""


def swaps(method: Method, n: int, rng: Rng) -> dict[str, Swap]:
    """What the decoder is given in place of n images' own codes."""
    moved = derangement(n, rng)
    return {
        "own": lambda z: z,
        "permuted": lambda z: z[moved],
        "mean": lambda z: torch.zeros_like(z) + method.code_mean,
        "prior": lambda z: method.draw_codes(len(z), rng.at("prior"), PRIOR_STEPS),
    }


def swapped_losses(method: Method, x: Tensor, rng: Rng) -> tuple[list[str], dict[str, Tensor]]:
    """Names of the points, and per kind of swap the losses in nats per image, (points, N).

    Every kind sees the same flow noise, so that differences are due to the codes alone.
    """
    points: list[str] = []
    losses = {}
    for kind, swap in swaps(method, len(x), rng.at("swap")).items():
        at_points = method.decoder_loss(x, swap, rng.at("loss"))
        points = list(at_points)
        losses[kind] = torch.stack([at_points[point] for point in points])
    return points, losses
