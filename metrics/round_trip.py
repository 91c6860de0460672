"""Round trips: image to (code, subcode) and back. Exact inversion is what makes editing an image through its code mean
anything; a subcode that is not N(0, I) is one that samplers never see."""

from typing import ClassVar

import numpy as np

from metrics._base import Arrays, Direction, Metric, NoConfig, Value
from metrics._images import pairs
from paramrel.errors import UserError


class RoundTrip(Metric[NoConfig]):
    """Mean squared error per pixel of ``round_trip`` against ``round_trip_source``, both (R, C, H, W) in [0, 1].

    Of methods with a stochastic subcode only: reconstructions from a code alone are ``mse_from_code``.
    """

    name = "round_trip"
    title = "MSE of the round trip"
    places = {"images": 80}
    digits = 6
    version = 1
    direction: ClassVar[Direction] = "lower"
    range = (0.0, 1.0)
    needs = ("round_trip", "round_trip_source", "subcode")
    source = "standard"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        made, source = pairs(arrays, self.needs[0], "round_trip_source")
        return Value(float(np.square(made - source).mean()), len(made))


class RoundTripPermuted(RoundTrip):
    """The same, rendered with another image's code: what the code decides beside the subcode."""

    name = "round_trip_permuted"
    title = "MSE of the round trip, another's z"
    places = {"images": 90}
    digits = 4
    direction = "none"
    needs = ("round_trip_permuted", "round_trip_source", "subcode")


class SubcodeStd(Metric[NoConfig]):
    """Standard deviation of all numbers of ``subcode`` (R, ...), which samplers draw from N(0, I): 1 is right."""

    name = "subcode_std"
    title = "subcode std (1 is right)"
    places = {"images": 100}
    version = 1
    direction = "none"
    range = (0.0, float("inf"))
    needs = ("subcode",)
    source = "ours"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        subcode = arrays["subcode"].astype(np.float64)
        if len(subcode) < 2:
            raise UserError(f"subcode must be (R, ...) of at least two images; its shape is {subcode.shape}")
        return Value(float(subcode.std()), len(subcode))
