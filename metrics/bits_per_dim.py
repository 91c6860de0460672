"""Likelihood bound in bits per dimension, and its two parts in nats."""

import numpy as np

from metrics._arrays import SLACK
from metrics._base import Arrays, Metric, NoConfig, Value
from paramrel.errors import UserError


class BitsPerDim(Metric[NoConfig]):
    """(data term + KL where one is part of the bound) / (D ln 2), an upper bound on -log2 p(x) per dimension."""

    name = "bits_per_dim"
    version = 1
    title = "bits/dim"
    places = {"likelihood": 10, "ablations": 100, "statistics": 40, "headline": 50}
    direction = "lower"
    range = (0.0, float("inf"))
    unit = "bits/dim"
    needs = ("nll_data", "nll_kl", "x_test")
    source = "arXiv 2308.07037, section 7"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        if arrays["nll_kl"].mean(dtype=np.float64) < -SLACK:
            raise UserError("the mean of nll_kl is negative: a KL is not")
        nats = arrays["nll_data"].astype(np.float64) + arrays["nll_kl"]
        n_dims = int(np.prod(arrays["x_test"].shape[1:]))
        return Value(float(nats.mean() / (n_dims * np.log(2))), len(nats))


class Distortion(Metric[NoConfig]):
    """Data term of the bound: -log p(x | z), or flow loss plus reconstruction term."""

    name = "distortion"
    version = 1
    title = "distortion"
    places = {"likelihood": 20, "ablations": 110}
    digits = 2
    unranked = "who pays more in rate has less of it: their sum is the bound"
    direction = "lower"
    range = (0.0, float("inf"))
    unit = "nats/image"
    needs = ("nll_data",)
    source = "arXiv 1711.00464"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        return Value(float(arrays["nll_data"].mean(dtype=np.float64)), len(arrays["nll_data"]))


class RateOfBound(Metric[NoConfig]):
    """The KL to the prior that is part of the bound; 0 where z is the receiver's own noise."""

    name = "rate"
    version = 1
    title = "rate"
    places = {"likelihood": 30, "ablations": 120}
    digits = 1
    direction = "none"
    range = (0.0, float("inf"))
    unit = "nats/image"
    needs = ("nll_kl",)
    source = "arXiv 1711.00464"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        return Value(float(arrays["nll_kl"].mean(dtype=np.float64)), len(arrays["nll_kl"]))
