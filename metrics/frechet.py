"""Fréchet distance of made and real images, in features of a classifier of the data set itself."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from metrics._base import Arrays, Direction, Metric, NoConfig, Value
from metrics._features import features
from metrics._images import noise_like


class Frechet(Metric[NoConfig]):
    """Squared Fréchet distance of two Gaussians, over the number of features F: of samples from the prior and of
    training images that the classifier has not seen.

    d^2 = (|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))) / F, with means m and covariances C (Dowson and Landau 1982; for
    images Heusel et al., arXiv 1706.08500). Features: ``metrics._features``; they have variance 1 on real images, so
    images that are all the same score about 1 and more. It is not the FID, whose features are another network's:
    compare within a data set and at equal numbers of images only. It is biased upwards: M images of
    the same distribution as the R score about (1/M + 1/R) (F + 5) / 4 if features do not correlate. ``frechet_real``
    measures what real images score at the same M and R; noise is in column ``chance``.
    """

    name = "frechet"
    version = 1
    title = "Fréchet distance of samples"
    places: ClassVar[Mapping[str, int]] = {"images": 160}
    direction: ClassVar[Direction] = "lower"
    range = (0.0, float("inf"))
    needs = ("sampled", "probe_x", "probe_y")
    source = "arXiv 1706.08500, in features of our own"
    made: ClassVar[str] = "sampled"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        real, made = features(arrays["probe_x"], arrays["probe_y"], arrays[self.made])
        return Value(frechet(real, made), len(made), (), f"against {len(real)} training images")

    def chance(self, arrays: Arrays) -> float:
        """Of noise: as many images of training images' pixels, shuffled."""
        noise = noise_like(arrays["probe_x"][: len(arrays[self.made])])
        return frechet(*features(arrays["probe_x"], arrays["probe_y"], noise))


class FrechetGenerated(Frechet):
    """The same of images that are generated with their codes given."""

    name = "frechet_generated"
    title = "Fréchet distance of images generated at own codes"
    places: ClassVar[Mapping[str, int]] = {"images": 170}
    needs = ("generated", "probe_x", "probe_y")
    made = "generated"


class FrechetReal(Frechet):
    """The same of real held-out images: what the best of models can reach with so many images."""

    name = "frechet_real"
    title = "Fréchet distance of real images"
    places: ClassVar[Mapping[str, int]] = {"images": 180}
    direction = "none"
    needs = ("x_test", "probe_x", "probe_y")
    made = "x_test"


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Fréchet distance of Gaussians with the moments of a (N, F) and b (M, F), over F.

    The trace of (C C')^(1/2) is the sum of the roots of the eigenvalues of C^(1/2) C' C^(1/2), which is symmetric and
    positive, so that nothing becomes complex where covariances are singular.
    """
    first, second = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    squared = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first) + np.trace(second) - 2 * cross
    return max(0.0, float(squared) / a.shape[1])
