"""NotBlur: are images made from codes as sharp as their sources? The paper's tick, with a number beside it.

It does not see speckle: smooth images with a little noise have as much Laplacian as sharp ones (``speckle`` tells them
apart).
"""

from typing import ClassVar

import numpy as np
from scipy.ndimage import convolve

from metrics._base import Arrays, Metric, NoConfig, Value
from metrics._images import pairs
from paramrel.errors import Unsupported

LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=float)
TICK = (0.5, 2.0)


class NotBlur(Metric[NoConfig]):
    """Median over images of Var(Laplacian(made)) / Var(Laplacian(source)); 1 is as sharp as the source.

    Tick: within [0.5, 2]; below it is blurred, above it is noisy. The Laplacian is the 4-neighbour one inside the
    image (no padding), its variance over all pixels and channels. Sources without any edge are left out, with a note.

    It does not see whether what is sharp belongs there: a blurred image with noise of the right strength is ticked.
    ``speckle`` sees that.
    """

    name = "notblur"
    version = 1
    title = "sharpness ratio (NotBlur)"
    places = {"images": 60}
    direction = "none"
    range = (0.0, float("inf"))
    needs = ("reconstructed", "x_test")
    source = "the paper ticks 'NotBlur?' without a definition; this one is ours"
    made: ClassVar[str] = "reconstructed"

    def compute(self, arrays: Arrays, seed: int) -> Value:
        made, source = pairs(arrays, self.made)
        if min(made.shape[2:]) < 3:
            raise Unsupported("images under 3 x 3 have no Laplacian")
        reference = sharpness(source)
        edged = reference > 1e-12
        if not edged.any():
            raise Unsupported("no source image has an edge")
        ratio = float(np.median(sharpness(made)[edged] / reference[edged]))
        tick = TICK[0] <= ratio <= TICK[1]
        left_out = f"; {int((~edged).sum())} sources without an edge left out" if not edged.all() else ""
        note = f"{'not blurred' if tick else 'blurred' if ratio < 1 else 'noisy'}{left_out}"
        return Value(ratio, int(edged.sum()), (), note, {"tick": tick})


class NotBlurFromCode(NotBlur):
    """The same for images decoded from the code alone, in one step."""

    name = "notblur_from_code"
    title = "sharpness ratio from z alone"
    places = {"images": 70}
    needs = ("decoded", "x_test")
    made = "decoded"


def sharpness(images: np.ndarray) -> np.ndarray:
    """Variance of the Laplacian of images (N, C, H, W): (N,)."""
    return convolve(images, LAPLACIAN[None, None])[:, :, 1:-1, 1:-1].var((1, 2, 3))
