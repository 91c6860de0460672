"""Does the decoder use z? Its loss with own, permuted, mean and prior codes; active units; KL."""

from abc import ABC
from typing import ClassVar

import numpy as np

from metrics._base import Arrays, Direction, Metric, NoConfig, Value
from paramrel.errors import Unsupported, UserError

REFERENCES = ("noise=0.5", "u=0.3")
"""Points at which losses with swapped codes are compared: noise of half of the data's range; where a file has none of
it (tables, and codes of former versions) a flow time. Methods without noise have one point."""


def reference(arrays: Arrays) -> int:
    """The position of the point at which losses are compared: the first of ``REFERENCES`` that is there, or the only
    one.

    Raises ``UserError`` where there are several points and no reference, or the reference twice.
    """
    points = names_of_points(arrays)
    found = next((point for point in REFERENCES if point in points), None)
    if len(points) > 1 and (found is None or points.count(found) > 1):
        raise UserError(
            f"loss_points are {', '.join(points)}: {' or '.join(REFERENCES)} must be there once, as losses are "
            f"compared at it"
        )
    return 0 if found is None else points.index(found)


def names_of_points(arrays: Arrays) -> list[str]:
    """``loss_points`` as words."""
    return [str(point) for point in arrays["loss_points"]]


class DecoderLoss(Metric[NoConfig], ABC):
    """Mean decoder loss with one kind of codes, at noise of half of the data's range for flows and diffusions.

    There it is SNR/2 |x - xhat|^2, the bound's loss per unit of ln SNR, so that flows and diffusions can be compared;
    of autoencoders it is that of the whole image. ``extra`` holds the curve over all points.
    """

    kind: ClassVar[str]
    version = 2
    direction: ClassVar[Direction] = "lower"
    range = (0.0, float("inf"))
    unit = "nats/image"
    text = ("loss_points",)
    source = "ours"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        curve = arrays[f"loss_{self.kind}"].mean(1, dtype=np.float64)
        extra = {"points": names_of_points(arrays), "curve": curve.tolist()}
        return Value(float(curve[reference(arrays)]), arrays[f"loss_{self.kind}"].shape[1], (), "", extra)


class LossOwn(DecoderLoss):
    """Decoder loss with each image's own code."""

    name = "loss_own"
    title = "loss, own z"
    places = {"latent_usage": 10}
    digits = 2
    unranked = "losses of different kinds of decoders are compared within a line"
    kind = "own"
    needs = ("loss_own", "loss_points")


class LossPermuted(DecoderLoss):
    """Decoder loss with codes permuted among the images."""

    name = "loss_permuted"
    title = "loss, permuted z"
    places = {"latent_usage": 20}
    digits = 2
    direction = "none"
    kind = "permuted"
    needs = ("loss_permuted", "loss_points")


class LossMean(DecoderLoss):
    """Decoder loss with the prior's mean, z = 0."""

    name = "loss_mean"
    title = "loss, z = 0"
    places = {"latent_usage": 30}
    digits = 2
    direction = "none"
    kind = "mean"
    needs = ("loss_mean", "loss_points")


class LossPrior(DecoderLoss):
    """Decoder loss with codes drawn from the prior."""

    name = "loss_prior"
    title = "loss, prior z"
    places = {"latent_usage": 40}
    digits = 2
    direction = "none"
    kind = "prior"
    needs = ("loss_prior", "loss_points")


class PermutedRatio(Metric[NoConfig]):
    """Decoder loss with permuted codes over the loss with own codes: 1 means that z is ignored.

    At noise of half of the data's range for flows and diffusions; ``extra`` holds the ratio at every point.
    """

    name = "permuted_ratio"
    version = 2
    title = "permuted/own"
    places = {"latent_usage": 50, "ablations": 50, "headline": 40}
    digits = 2
    unranked = "losses of different kinds of decoders are compared within a line"
    direction = "higher"
    range = (0.0, float("inf"))
    needs = ("loss_own", "loss_permuted", "loss_points")
    text = ("loss_points",)
    source = "ours"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        own, permuted = (arrays[f"loss_{kind}"].mean(1, dtype=np.float64) for kind in ("own", "permuted"))
        here = reference(arrays)
        if own[here] <= 0:
            raise Unsupported("the loss with own codes is not positive: no ratio")
        curve = [float(b / a) if a > 0 else None for a, b in zip(own, permuted, strict=True)]
        extra = {"points": names_of_points(arrays), "curve": curve}
        return Value(float(permuted[here] / own[here]), arrays["loss_own"].shape[1], (), "", extra)

    def chance(self, arrays: Arrays) -> float:
        return 1.0


class ActiveUnits(Metric[NoConfig]):
    """Number of latents whose posterior mean has a standard deviation above 0.1 over the data (prior: 1)."""

    name = "active_units"
    version = 1
    title = "active units"
    places = {"latent_usage": 80, "ablations": 60}
    digits = 1
    direction = "none"
    range = (0.0, float("inf"))
    needs = ("z", "z_std")
    source = "after Y. Burda, R. Grosse, R. Salakhutdinov, arXiv 1509.00519 (variance above .01)"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        return Value(float((arrays["z"].std(0, dtype=np.float64) > 0.1).sum()), len(arrays["z"]))


class Rate(Metric[NoConfig]):
    """Mean KL[q(z | x) || N(0, I)]."""

    name = "kl"
    version = 1
    title = "KL"
    places = {"latent_usage": 90, "ablations": 70}
    digits = 1
    direction = "none"
    range = (0.0, float("inf"))
    unit = "nats/image"
    needs = ("z", "z_std")
    source = "arXiv 1312.6114, appendix B"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        mean, std = arrays["z"].astype(np.float64), arrays["z_std"].astype(np.float64)
        kl = 0.5 * (mean**2 + std**2 - 1 - 2 * np.log(std)).sum(1)
        return Value(float(kl.mean()), len(kl))
