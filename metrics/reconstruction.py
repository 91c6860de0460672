"""Reconstructions against their sources: MSE, PSNR, SSIM, bit error. Pixels in [0, 1]."""

from abc import ABC
from typing import ClassVar

import numpy as np
from scipy.ndimage import correlate1d

from metrics._base import Arrays, Metric, NoConfig, Value
from metrics._images import binary_pairs, pairs
from paramrel.errors import Unsupported

SSIM_SIDE, SSIM_SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2


class OfReconstructions(Metric[NoConfig], ABC):
    """Of ``reconstructed``, made from all that the method keeps of the image (code, and subcode where it has one)."""

    version = 1
    needs: ClassVar[tuple[str, ...]] = ("reconstructed", "x_test")


class Mse(OfReconstructions):
    """Mean squared error per pixel."""

    name = "mse"
    title = "MSE"
    places = {"images": 10}
    digits = 5
    direction = "lower"
    range = (0.0, 1.0)
    source = "standard"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        made, source = pairs(arrays, "reconstructed")
        return Value(float(np.square(made - source).mean()), len(made))


class MsePermuted(Metric[NoConfig]):
    """Mean squared error of reconstructions with another image's z, all else that the method keeps unchanged.

    Where it is no larger than ``mse``, the reconstruction says nothing of z.
    """

    name = "mse_permuted"
    version = 1
    title = "MSE, another's z"
    places = {"images": 20}
    digits = 5
    direction = "none"
    range = (0.0, 1.0)
    needs = ("reconstructed_permuted", "x_test")
    source = "ours"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        made, source = pairs(arrays, "reconstructed_permuted")
        return Value(float(np.square(made - source).mean()), len(made))


class Psnr(OfReconstructions):
    """10 log10(1 / MSE), of the MSE over all images: a mean of per-image values would be infinite as soon as one
    binary image is met exactly."""

    name = "psnr"
    title = "PSNR"
    places = {"images": 30}
    digits = 2
    unranked = "infinite, which is the best and in no mean, where every image is met exactly; MSE has the same order"
    direction = "higher"
    range = (0.0, float("inf"))
    unit = "dB"
    source = "standard, peak 1"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        made, source = pairs(arrays, "reconstructed")
        error = np.square(made - source).mean()
        if error == 0:
            raise Unsupported("every image is met exactly: PSNR is infinite")
        return Value(float(-10 * np.log10(error)), len(made))


class BitError(OfReconstructions):
    """Share of binary pixels that are wrong after thresholding at 1/2."""

    name = "bit_error"
    title = "bit error"
    places = {"images": 50}
    digits = 4
    direction = "lower"
    range = (0.0, 1.0)
    needs = ("reconstructed", "x_test", "binary")
    source = "standard"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        made, source = binary_pairs(arrays, "reconstructed")
        return Value(float((made != source).mean()), len(made))


class Ssim(OfReconstructions):
    """Structural similarity, mean over images, channels and all positions at which the window fits.

    Gaussian window of 11 x 11, sigma 1.5, K1 = .01, K2 = .03, weighted population moments. Images with a side under
    11 get a window of their largest odd side, with the same sigma: digits at 8 x 8 are compared with 7 x 7.
    """

    name = "ssim"
    title = "SSIM"
    places = {"images": 40}
    digits = 4
    direction = "higher"
    range = (-1.0, 1.0)
    source = "Z. Wang et al., IEEE Transactions on Image Processing 13(4), 2004"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        made, source = pairs(arrays, "reconstructed")
        if min(made.shape[2:]) < 3:
            raise Unsupported("images under 3 x 3 have no structure to compare")
        return Value(float(ssim(made, source).mean()), len(made))


def ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM of N pairs of images (N, C, H, W) in [0, 1], at least 3 x 3: (N,)."""
    shorter = min(*a.shape[2:], SSIM_SIDE)
    side = shorter - (shorter + 1) % 2
    offsets = np.arange(side) - side // 2
    window = np.exp(-0.5 * (offsets / SSIM_SIGMA) ** 2)
    window /= window.sum()
    inside = (..., *(slice(side // 2, length - side // 2) for length in a.shape[2:]))

    def blur(images: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(images, window, axis=2), window, axis=3)[inside]

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, cov = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return (luminance * (2 * cov + C2) / (var_a + var_b + C2)).mean((1, 2, 3))
