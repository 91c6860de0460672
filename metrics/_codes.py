"""Codes in units of their own size."""

import numpy as np

ROUNDING = 1e-6
"""A latent is constant if it moves by less than this share of its largest value: what single precision may do to it."""


def in_own_units(z: np.ndarray) -> np.ndarray:
    """Codes (N, d) with every latent times a power of two that brings its largest |value| into [1/2, 1).

    The products are exact, so that nothing else changes, and squares of very small or large codes are numbers.
    """
    z = z if z.dtype.kind == "f" else z.astype(np.float64)
    return np.ldexp(z, -np.frexp(np.abs(z).max(0))[1])


def moves(z: np.ndarray) -> np.ndarray:
    """(d,) bool: which latents of z (N, d) are not constant, whatever their scale."""
    return np.ptp(z.astype(np.float64), axis=0) > ROUNDING * np.abs(z).max(0)
