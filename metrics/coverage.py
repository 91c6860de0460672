"""Density and coverage: how many samples look real, and how much of what is real they look like."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from scipy.spatial.distance import cdist

from metrics._base import Arrays, Direction, Metric, NoConfig, Value
from metrics._features import features
from metrics._images import noise_like

K = 5
"""Nearest neighbours, as in the reference."""


class Coverage(Metric[NoConfig]):
    """Share of real images that have a sample from the prior in their ball (Naeem et al., arXiv 2002.09797, eq. 5).

    The ball of a real image reaches to its 5th nearest among the real images, in ``metrics._features``. Real images are
    as many training images as there are samples, or all there are if they are fewer; real ones against them score
    1 - 2^-5 = .97 then. It sees what is missing, such as classes; it hardly sees a little blur or grain.
    """

    name = "coverage"
    version = 1
    title = "coverage of samples"
    places: ClassVar[Mapping[str, int]] = {"images": 200}
    direction: ClassVar[Direction] = "higher"
    range = (0.0, 1.0)
    needs = ("sampled", "probe_x", "probe_y")
    source = "arXiv 2002.09797, in features of our own"
    made: ClassVar[str] = "sampled"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        real, made = features(arrays["probe_x"], arrays["probe_y"], arrays[self.made])
        real = real[: len(made)]
        return Value(self.share(within(real, made)), len(made), (), f"against {len(real)} training images")

    def chance(self, arrays: Arrays) -> float:
        """Of noise: as many images of training images' pixels, shuffled."""
        noise = noise_like(arrays["probe_x"][: len(arrays[self.made])])
        real, made = features(arrays["probe_x"], arrays["probe_y"], noise)
        return self.share(within(real[: len(made)], made))

    def share(self, inside: np.ndarray) -> float:
        """The value, from which samples are in which balls (R, M)."""
        return float(inside.any(1).mean())


class CoverageGenerated(Coverage):
    """The same of images that are generated with their codes given."""

    name = "coverage_generated"
    title = "coverage of images generated at own codes"
    places: ClassVar[Mapping[str, int]] = {}
    needs = ("generated", "probe_x", "probe_y")
    made = "generated"


class CoverageReal(Coverage):
    """The same of real held-out images."""

    name = "coverage_real"
    title = "coverage of real images"
    places: ClassVar[Mapping[str, int]] = {}
    direction = "none"
    needs = ("x_test", "probe_x", "probe_y")
    made = "x_test"


class Density(Coverage):
    """Mean number of real images' balls that a sample from the prior is in, over 5 (the same, eq. 4): 1 is as dense as
    real.

    Images that are all near the middle of the data, such as blurred ones, are above 1, so higher is not better.
    """

    name = "density"
    title = "density of samples (1 is right)"
    places: ClassVar[Mapping[str, int]] = {"images": 190}
    direction = "none"
    range = (0.0, float("inf"))

    def share(self, inside: np.ndarray) -> float:
        return float(inside.sum(0).mean() / K)


class DensityGenerated(Density):
    """The same of images that are generated with their codes given."""

    name = "density_generated"
    title = "density of images generated at own codes (1 is right)"
    places: ClassVar[Mapping[str, int]] = {}
    needs = ("generated", "probe_x", "probe_y")
    made = "generated"


class DensityReal(Density):
    """The same of real held-out images."""

    name = "density_real"
    title = "density of real images (1 is right)"
    places: ClassVar[Mapping[str, int]] = {}
    needs = ("x_test", "probe_x", "probe_y")
    made = "x_test"


def within(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Whether made images (M, F) are in the balls of real ones (R, F): (R, M)."""
    radius = np.sort(cdist(real, real), 1)[:, K]  # the nearest is the image itself
    return cdist(real, made) < radius[:, None]
