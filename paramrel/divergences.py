"""How far codes are from the prior N(0, I)."""

from typing import Literal

import torch
from torch import Tensor

Kernel = Literal["rbf", "infodiffusion"]


def kl_standard_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL[N(mean, diag exp(log_var)) || N(0, I)] in nats per image: (N, d) to (N,)."""
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)


def reparametrise(mean: Tensor, log_var: Tensor, eps: Tensor) -> Tensor:
    """z = mean + exp(log_var / 2) eps."""
    return mean + (log_var / 2).exp() * eps


def check_mmd_weight(mutual: str, weight: float, lambda_mmd: float) -> None:
    """Raises ``ValueError`` if the MMD's weight, ``weight`` (the setting called ``mutual``) + lambda - 1, is
    negative."""
    total = weight + lambda_mmd - 1
    if total < -1e-12:
        raise ValueError(
            f"{mutual} + lambda_mmd - 1 = {total:g} is the MMD's weight and may not be negative, which would push "
            f"codes "
            f"off the prior: raise lambda_mmd or {mutual}"
        )


def mmd(z: Tensor, prior: Tensor, kernel: Kernel = "rbf") -> Tensor:
    """Squared maximum mean discrepancy between codes z (N, d) and prior draws (N, d), a scalar.

    rbf: exp(-r^2 / (2 d)), U-statistic (no pair of a point with itself): 0 on average when z ~ N(0, I), and about
    .16 for collapsed codes at d = 32. infodiffusion: exp(-r^2 / d^2), V-statistic, as the official InfoDiffusion
    code has it: so flat that collapse costs .001, less than its own bias; for fidelity only. Repeating both batches
    changes neither: exact copies of a row are no second draw, so the U-statistic leaves out their pairs too.
    """
    d = z.shape[1]
    z, prior = z.float(), prior.float()
    scale = 2.0 * d if kernel == "rbf" else float(d) ** 2
    zz, pp, zp = (torch.exp(-_squared_distances(a, b) / scale) for a, b in ((z, z), (prior, prior), (z, prior)))
    if kernel == "infodiffusion":
        return zz.mean() + pp.mean() - 2 * zp.mean()
    return _mean_of_pairs(zz, z) + _mean_of_pairs(pp, prior) - 2 * zp.mean()


def _mean_of_pairs(gram: Tensor, points: Tensor) -> Tensor:
    """Mean of the kernel over pairs of different points; 1, its value at distance 0, where all are the same."""
    copies = same_rows(points.detach())
    n_pairs = (~copies).sum()
    return torch.where(n_pairs > 0, (gram.sum() - (gram * copies).sum()) / n_pairs.clamp_min(1), 1.0)


def same_rows(points: Tensor) -> Tensor:
    """Which rows of points (N, d) are equal, (N, N).

    ``torch.unique`` needs no N^2 d comparisons, but the size of what it returns is a number that a GPU is waited for.
    """
    if points.is_cuda:
        return torch.cdist(points, points, p=0) == 0  # p=0: in how many places they differ
    group = torch.unique(points, dim=0, return_inverse=True)[1]
    return group[:, None] == group


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """|a_i - b_j|^2, (N, M), by the expanded square (one matrix product), clamped at 0."""
    with torch.autocast(a.device.type, enabled=False):  # differences of large numbers: float32 always
        return (a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T).clamp_min(0)
