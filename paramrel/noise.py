"""Amounts of noise at which decoders are compared: the same for flows and for diffusions.

Flow times say little about noise: at u = .3 a flow with sigma_1 = .001 shows an image, and a diffusion hides it.
"""

RANGE = 2.0
"""Range of the data in the values of flows and diffusions: images in [-1, 1]."""
NOISES = (4.0, 2.0, 1.0, 0.5, 0.25)
"""Standard deviation of the noise in v = kappa x + n (arXiv 2206.00364: sigma), over the range of the data."""


def sigma(noise: float) -> float:
    """Noise over signal, 1/kappa, for images in [-1, 1]."""
    return RANGE * noise


def snr(noise: float) -> float:
    """Signal-to-noise ratio kappa^2: beta(u) of a flow, abar/(1 - abar) of a diffusion."""
    return sigma(noise) ** -2


def point(noise: float) -> str:
    """What the point is called in a file of codes: "noise=0.5"."""
    return f"noise={noise:g}"
