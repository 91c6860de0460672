"""The arrays that metrics read: what they are called, their shapes, the values they may hold, and what is wrong."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from paramrel.errors import UserError

Arrays = Mapping[str, np.ndarray]

SHAPES: Mapping[str, str] = {
    "z": "N d", "z_sampled": "N d", "z_std": "N d", "z_other_type": "N d", "y": "N k?", "attributes": "N k?",
    "progressive_z": "S N d", "progressive_s": "S",
    "x_test": "M C H W", "y_test": "M k?", "probe_x": "P C H W", "probe_y": "P k?", "binary": "",
    "decoded": "M C H W", "reconstructed": "M C H W", "reconstructed_permuted": "M C H W", "generated": "M C H W",
    "sampled": "G C H W", "interpolated": "I F C H W",
    "round_trip": "R C H W", "round_trip_permuted": "R C H W", "round_trip_source": "R C H W", "subcode": "R ...",
    "loss_points": "T", "loss_own": "T M", "loss_permuted": "T M", "loss_mean": "T M", "loss_prior": "T M",
    "nll_data": "M", "nll_kl": "M", "nll_columns": "M L", "column_classes": "L",
}  # fmt: skip
"""What arrays are called and their shapes: the same letter is the same size, "k?" may be missing, "..." is the rest.
Images, codes and labels of N items for probes, of M held-out images for the decoder (R of them go round), of P training
images for classifiers; G samples from the prior; S and T flow times; I interpolations of F frames; L columns of a
table."""

SLACK = 1e-3
"""How far values may be outside of their domain: rounding of pixels and of nats."""
MAX_MAGNITUDE = 1e35
"""Larger numbers overflow in single precision, or when they are squared."""


@dataclass(frozen=True)
class Domain:
    """The values that an array may hold: ``low`` to ``high``, without ``low`` itself if ``positive``."""

    low: float
    high: float
    advice: str
    """What the reader of an error can do."""
    positive: bool = False

    def holds(self, array: np.ndarray) -> bool:
        """True if all values are inside, up to ``SLACK``; with ``positive`` exactly."""
        low_is_right = array.min() > 0 if self.positive else array.min() >= self.low - SLACK
        return bool(low_is_right and array.max() <= self.high + SLACK)


PIXELS = Domain(0, 1, "scale to [0, 1]")
"""Of every array of images."""
DOMAINS: Mapping[str, Domain] = {
    "z_std": Domain(
        0,
        np.inf,
        "standard deviations are positive (of log-variances l they are exp(l / 2)); leave it out for points",
        positive=True,
    ),
    "nll_data": Domain(0, np.inf, "-log of the probability of a bin is not negative: a density has no bits/dim here"),
    "nll_columns": Domain(0, np.inf, "-log of the probability of a bin is not negative: give no densities"),
    "column_classes": Domain(0, np.inf, "give numbers of classes, and 0 for a continuous column"),
    "progressive_s": Domain(0, 1, "flow times are in (0, 1]", positive=True),
    "binary": Domain(0, 1, "give True or False"),
}
"""Of arrays whose values have a meaning. Other numbers must be finite, and no more."""


def plain(name: str, array: np.ndarray, words: bool = False) -> np.ndarray:
    """The same values as numpy computes with them: C order, native bytes, half precision as single.

    (Sums of squares overflow in half precision.) ``words``: it may hold text. Raises ``UserError`` where it is empty
    or holds something else.
    """
    array = np.asarray(array)
    if array.dtype == object:
        raise UserError(objects(name))
    if array.size == 0:
        raise UserError(f"{name} is empty")
    if array.dtype.kind not in ("biufUS" if words else "biuf"):
        raise UserError(f"{name} holds {array.dtype}, not numbers" + " or words" * words)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype == np.float16:
        return array.astype(np.float32, order="C")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        return array.astype(np.float64, order="C")
    return np.require(array.astype(array.dtype.newbyteorder("="), copy=False), requirements="C")


def objects(name: str) -> str:
    """What is said of an array of Python objects."""
    return f"{name} holds Python objects, as pandas columns do: give {name}.astype(str), or .astype(float) for numbers"


def check_values(name: str, array: np.ndarray, shapes: Mapping[str, str]) -> None:
    """Raises ``UserError`` unless the numbers are finite and in the domain of their name; text passes."""
    if array.dtype.kind == "U":
        return
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            n = int((~np.isfinite(array)).sum())
            raise UserError(f"{name} has {n} NaN or infinite values: remove those rows or mend the encoder")
        if np.abs(array).max() > MAX_MAGNITUDE:
            raise UserError(
                f"{name} has values beyond {MAX_MAGNITUDE:g}, of which no variance can be taken: rescale it"
            )
    if shapes.get(name, "").endswith("C H W") and not PIXELS.holds(array):
        raise UserError(f"{name} has pixels from {array.min():.4g} to {array.max():.4g}: {PIXELS.advice}")
    if name in DOMAINS and not DOMAINS[name].holds(array):
        raise UserError(f"{name} has values from {array.min():.4g} to {array.max():.4g}: {DOMAINS[name].advice}")


def check_shapes(arrays: Arrays, shapes: Mapping[str, str]) -> None:
    """Raises ``UserError`` for the first array that does not fit its shape and the arrays before it."""
    sizes: dict[str, int] = {}
    for name, array in arrays.items():
        if name in shapes:
            _check_shape(name, array.shape, shapes[name].split(), sizes)


def rows_of(arrays: Arrays, letter: str, keep: np.ndarray, shapes: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The arrays, of those with an axis ``letter`` only what ``keep`` (bool, of its size) says."""
    axes = {name: shapes[name].split().index(letter) for name in arrays if letter in shapes.get(name, "").split()}
    return {name: np.compress(keep, array, axes[name]) if name in axes else array for name, array in arrays.items()}


def absent(names: Collection[str], there: Collection[str]) -> str:
    """What is said of arrays that are not there."""
    return f"needs the array(s) {', '.join(names)}; the file has {', '.join(there) or 'none'}"


def _check_shape(name: str, shape: tuple[int, ...], letters: list[str], sizes: dict[str, int]) -> None:
    """``sizes`` of letters grow with every array."""
    if letters[-1:] == ["..."]:
        letters = letters[:-1] + ["..."] * max(1, len(shape) - len(letters) + 1)
    forms = [letters[:-1], letters] if letters and letters[-1].endswith("?") else [letters]
    known = ", ".join(f"{letter} = {sizes[letter]}" for letter in letters if letter in sizes)
    form = next((form for form in forms if len(form) == len(shape)), None)
    pairs = [] if form is None else [pair for pair in zip(form, shape, strict=True) if pair[0] != "..."]
    if form is None or any(sizes.setdefault(letter, n) != n for letter, n in pairs):
        wanted = " or ".join(_tuple(form) for form in forms)
        raise UserError(
            f"{name} must be {wanted}" + f" with {known} as other arrays" * bool(known) + f"; its shape is {shape}"
        )


def _tuple(form: list[str]) -> str:
    """["N"] as "(N,)"."""
    return f"({', '.join(form)}{',' * (len(form) == 1)})".replace("?", "")
