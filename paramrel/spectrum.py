"""Preconditioning: what a Gaussian model of the training images makes of a noisy image, in closed form.

The model. An image x (C, H, W), in the values of flows and diffusions, [-1, 1], is m + T' c: m is the mean training
image, T an orthonormal transform with inverse T' (its transpose), and the coefficients c are independent, c_k ~ N(0,
S_k). T rotates the colours to the principal axes of the pixels and takes the DCT-II of rows and columns. Both nearly
decorrelate natural images, so a variance per coefficient is nearly all that a Gaussian can know.

The posterior. Of x is seen y = a x + s e with e ~ N(0, I). T is orthonormal, so coefficients stay independent: with
D = a^2 S + s^2 the posterior of each coefficient of x - m has mean S T(a y - a^2 m)/D and variance V = S s^2/D. The
network's output ``out`` is measured in units of what is left open:

    xhat = m + T'[S T(a y - a^2 m)/D + sqrt(V) T out].

y counts only as the product ``seen`` = a y, and a and s only by their squares ``signal`` = a^2 and ``noise`` = s^2, up
to one factor common to all three. So nothing is divided by a, and a = 0 is harmless:

    Gaussian flow: mu ~ N(gamma x, gamma (1 - gamma)) is y = mu/sqrt(gamma), a = sqrt(gamma), s = sqrt(1 - gamma):
                   seen mu, signal gamma, noise 1 - gamma.
    diffusion:     x_t = sqrt(abar) x_0 + sqrt(1 - abar) e: seen sqrt(abar) x_t, signal abar, noise 1 - abar.
    any flow:      v = kappa x + n: seen kappa v, signal kappa^2, noise 1.

S = 1 and m = 0 gives mu + sqrt(1 - gamma) out, the parametrisation ``mix`` of the flows; one number S = E x^2 and m = 0
is the preconditioning of Karras et al. (arXiv 2206.00364, Table 1: c_skip and c_out). That denoisers are nearly linear
where there is much noise: Wang and Vastola, TMLR 2024.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from paramrel.rng import Rng

Preconditioning = Literal["none", "scalar", "spectrum"]
"""The Gaussian model. none: S = 1, m = 0. scalar: S = E x^2, m = 0. spectrum: as measured."""
N_MEASURED = 8_000
"""Training images that are measured, at most."""
CHUNK = 200
"""Images at a time."""
LEAST_VARIANCE = (2 / 255) ** 2 / 12
"""Of a coefficient: that of rounding to 256 values. What never varied among the images measured may yet vary."""


def dct_matrix(n: int) -> Tensor:
    """The orthonormal DCT-II of n numbers, (n, n), float64: row k is sqrt(2/n) cos(pi k (i + 1/2)/n), row 0
    sqrt(1/n)."""
    places = torch.arange(n, dtype=torch.float64)
    matrix = math.sqrt(2 / n) * torch.cos(math.pi / n * places[:, None] * (places + 0.5))
    matrix[0] = math.sqrt(1 / n)
    return matrix


def principal_axes(covariance: Tensor) -> Tensor:
    """Rotation (C, C) to the principal axes of a covariance (C, C), one axis a row, the widest first; of every axis
    the largest component is positive."""
    axes = torch.linalg.eigh(covariance).eigenvectors.T.flip(0)
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return axes * largest.sign()


class Spectrum(nn.Module):
    """The Gaussian model of images (C, H, W) and its posterior at any noise.

    Before ``measure`` it is S = 1, m = 0, whatever ``kind``. All arithmetic is in float32, also under autocast:
    bfloat16 would lose what little noise leaves open. Images are (N, C, H, W); ``signal`` and ``noise`` (N,), not
    negative and not both 0.
    """

    mean: Tensor
    """m."""
    variance: Tensor
    """S."""
    colours: Tensor
    """The rotation of colours, (C, C), one axis a row."""
    rows: Tensor
    columns: Tensor
    """The DCTs over height (H, H) and width (W, W)."""

    def __init__(self, kind: Preconditioning, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.kind = kind
        n_colours, height, width = shape
        size = shape if kind == "spectrum" else (1, 1, 1)
        kept = kind != "none"
        self.register_buffer("mean", torch.zeros(size), persistent=kept)
        self.register_buffer("variance", torch.ones(size), persistent=kept)
        self.register_buffer("colours", torch.eye(n_colours), persistent=kind == "spectrum")
        self.register_buffer("rows", dct_matrix(height).float(), persistent=False)
        self.register_buffer("columns", dct_matrix(width).float(), persistent=False)

    @torch.no_grad()
    def measure(self, images: np.ndarray, rng: Rng) -> None:
        """Take m, T and S of training images (N, C, H, W) in [0, 1]: of ``N_MEASURED`` of them, drawn by ``rng``.

        Sums are in float64 and over ``CHUNK`` images at a time.
        """
        if self.kind == "none":
            return
        chosen = rng.permutation("spectrum", len(images))[:N_MEASURED].sort().values.cpu().numpy()

        def average(measured: Callable[[Tensor], Tensor]) -> Tensor:
            return _average(images, chosen, measured)

        if self.kind == "spectrum":
            self.mean.copy_(average(lambda x: x))
            self.colours.copy_(principal_axes(average(self._colour_products)))
        squares = average(lambda x: self._transformed(x).square())
        self.variance.copy_((squares if self.kind == "spectrum" else squares.mean()).clamp_min(LEAST_VARIANCE))

    def _colour_products(self, x: Tensor) -> Tensor:
        """Products of the colours of x - m, summed over pixels, (N, C, C), float64."""
        centred = x - self.mean.double().cpu()
        return torch.einsum("nchw,ndhw->ncd", centred, centred)

    def _transformed(self, x: Tensor) -> Tensor:
        """T(x - m), float64."""
        mean, *parts = (part.double().cpu() for part in (self.mean, self.colours, self.rows, self.columns))
        return _transform(x - mean, *parts)

    def estimate(self, out: Tensor, seen: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
        """xhat of a network's output, (N, C, H, W)."""
        return self.posterior_mean(seen, signal, noise) + self.spread(out, signal, noise)

    def posterior_mean(self, seen: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
        """m + T'[S T(seen - signal m)/D]: what ``estimate`` is of output 0, (N, C, H, W)."""
        signal, noise = _powers(signal, noise)
        gain = self.variance / self._total(signal, noise)
        return self.mean + self._weighted(gain, seen.float() - signal * self.mean)

    def spread(self, out: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
        """T'[sqrt(V) T out]: noise of variance 1 becomes noise with the posterior's covariance, (N, C, H, W)."""
        return self._weighted(self._variances(signal, noise).sqrt(), out.float())

    def deviation(self, signal: Tensor, noise: Tensor) -> Tensor:
        """Standard deviation of each pixel's posterior, (N, C, H, W), or (N, 1, 1, 1) where it is one for all.

        The variances are the diagonal of T' V T: with the squares of T's entries in place of them, T' V."""
        variances = self._variances(signal, noise)
        if self.kind == "spectrum":
            squares = (part.T.square() for part in (self.colours, self.rows, self.columns))
            with _float32(variances):
                variances = _transform(variances, *squares)
        return variances.sqrt()

    def loss_weight(self, signal: Tensor, noise: Tensor) -> Tensor:
        """One over the mean of V, (N,): makes the squared error of xhat 1 on average for an untrained network on images
        of the model. (1 - gamma = 1/(1 + beta), so with S = 1 it is 1 + beta, which makes the error of x that of v.)"""
        return 1 / self._variances(signal, noise).flatten(1).mean(1).clamp_min(1e-12)

    def _variances(self, signal: Tensor, noise: Tensor) -> Tensor:
        """V, (N, C, H, W) or (N, 1, 1, 1)."""
        signal, noise = _powers(signal, noise)
        return self.variance * noise / self._total(signal, noise)

    def _total(self, signal: Tensor, noise: Tensor) -> Tensor:
        """D, above 0 also where a coefficient neither varies nor is noisy."""
        return (signal * self.variance + noise).clamp_min(1e-30)

    def _weighted(self, weight: Tensor, x: Tensor) -> Tensor:
        """T'[weight T x]."""
        if self.kind != "spectrum":
            return weight * x
        parts = self.colours, self.rows, self.columns
        with _float32(x):
            return _transform(weight * _transform(x, *parts), *(part.T for part in parts))


def _powers(signal: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Both float32, (N, 1, 1, 1)."""
    return signal.float().reshape(-1, 1, 1, 1), noise.float().reshape(-1, 1, 1, 1)


def _float32(x: Tensor) -> torch.autocast:
    """A context without autocast on the device of ``x``."""
    return torch.autocast(x.device.type, enabled=False)


def _transform(x: Tensor, colours: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Three matrices on the axes of colour, height and width of x (N, C, H, W)."""
    x = rows @ x @ columns.T
    return torch.einsum("dc,nchw->ndhw", colours, x) if len(colours) > 1 else x * colours


def _average(images: np.ndarray, chosen: np.ndarray, measured: Callable[[Tensor], Tensor]) -> Tensor:
    """Mean over the chosen images (N, C, H, W) in [0, 1] of what is ``measured`` of each in [-1, 1]; float64, in
    chunks."""
    total = torch.zeros((), dtype=torch.float64)
    for start in range(0, len(chosen), CHUNK):
        part = torch.from_numpy(images[chosen[start : start + CHUNK]])
        total = total + measured(2 * part.double() - 1).sum(0)
    return total / len(chosen)
