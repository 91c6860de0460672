"""The arrays that metrics read: what they are called, their shapes, and what is wrong with them."""

from collections.abc import Collection, Mapping

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
"""What arrays are called and their shapes: the same letter is the same size, "k?" may be missing, "..." is the rest. Images, codes and
labels of N items for probes, of M held-out images for the decoder (R of them go round), of P training images for
classifiers; G samples from the prior; S and T flow times; I interpolations of F frames; L columns of a table."""

SLACK = 1e-3
"""How far pixels may be outside of [0, 1]."""
MAX_MAGNITUDE = 1e35
"""Larger numbers overflow in single precision, or when they are squared."""


def checked(arrays: Arrays, shapes: Mapping[str, str], words: Collection[str] = ()) -> dict[str, np.ndarray]:
    """The same, half precision as single (sums of its squares would overflow).

    ``words`` may hold text. Raises ``UserError`` for the first array that is empty, holds something else than finite
    numbers, does not fit its shape and the arrays before it, or has pixels outside of [0, 1].
    """
    read = {name: np.asarray(array) for name, array in arrays.items()}
    read = {name: array.astype(np.float32) if array.dtype == np.float16 else array for name, array in read.items()}
    sizes: dict[str, int] = {}
    for name, array in read.items():
        _check_values(name, array, name in words)
        if name in shapes:
            _check_shape(name, array.shape, shapes[name].split(), sizes)
            if shapes[name].endswith("C H W") and not (array.min() >= -SLACK and array.max() <= 1 + SLACK):
                raise UserError(f"{name} has pixels from {array.min():.4g} to {array.max():.4g}: scale to [0, 1]")
    return read


def _check_values(name: str, array: np.ndarray, words: bool) -> None:
    if array.size == 0:
        raise UserError(f"{name} is empty")
    if array.dtype.kind not in ("biufUS" if words else "biuf"):
        raise UserError(f"{name} holds {array.dtype}, not numbers" + " or words" * words)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            n = int((~np.isfinite(array)).sum())
            raise UserError(f"{name} has {n} NaN or infinite values: remove those rows or mend the encoder")
        if np.abs(array).max() > MAX_MAGNITUDE:
            raise UserError(
                f"{name} has values beyond {MAX_MAGNITUDE:g}, of which no variance can be taken: rescale it"
            )


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
