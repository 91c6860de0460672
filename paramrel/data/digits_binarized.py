"""scikit-learn's digits, binarised: the quick presets' data set."""

import numpy as np

from paramrel.data._base import Split
from paramrel.data.digits import Digits


class DigitsBinarized(Digits):
    """``digits`` with value 1 where the grey value is above one half (8 of 16)."""

    name = "digits_binarized"
    title = "digits (8x8 binarised)"
    levels = 1
    bins = 2
    kind = "discrete"
    binarise = "stored"

    def stored(self, images: np.ndarray) -> np.ndarray:
        return (images > 8).astype(np.uint8)

    def grey(self, split: Split, rows: np.ndarray) -> np.ndarray:
        return Digits().grey(split, rows)
