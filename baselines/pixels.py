"""Sanity row: the pixels themselves are the code."""

from torch import Tensor

from paramrel.method import Codes, NoConfig, Untrained


class Pixels(Untrained[NoConfig]):
    """z = x, flattened. Every learned code has to be compared with no learning at all."""

    name = "pixels"
    title = "raw pixels"
    source = "sanity row"
    tables = True

    def encode(self, x: Tensor) -> Codes:
        return Codes(x.flatten(1))
