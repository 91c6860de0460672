"""Arrays of images as people have them, to one form: uint8 (N, C, H, W), and back."""

from typing import Literal

import numpy as np

from paramrel.errors import UserError

Layout = Literal["NHWC", "NCHW", "NHW"]
"""Order of the axes: images, height, width, channels."""
MAX_CHANNELS = 4


def layout_of(array: np.ndarray, layout: Layout | None = None) -> Layout:
    """The order of an array's axes, told by where 1 to 4 channels can be. Raises ``UserError`` where both ends can."""
    if array.ndim == 3:
        if array.shape[2] <= MAX_CHANNELS < min(array.shape[:2]):
            raise UserError(f"an array of shape {array.shape} looks like one colour image: give images[None]")
        return "NHW"
    if array.ndim != 4:
        raise UserError(f"images must be (N, H, W), (N, H, W, C) or (N, C, H, W), not {array.shape}")
    if layout is not None:
        if layout not in ("NHWC", "NCHW"):
            raise UserError(f"layout={layout!r}: give 'NHWC' or 'NCHW'")
        n_channels = array.shape[1 if layout == "NCHW" else 3]
        if n_channels > MAX_CHANNELS:
            raise UserError(
                f"images of shape {array.shape} have {n_channels} channels by layout={layout!r}: 1 to 4 are taken"
            )
        return layout
    first, last = array.shape[1] <= MAX_CHANNELS, array.shape[3] <= MAX_CHANNELS
    if first == last:
        raise UserError(f"images of shape {array.shape}: say where the channels are: layout='NHWC' or layout='NCHW'")
    return "NCHW" if first else "NHWC"


def to_uint8(array: np.ndarray, layout: Layout | None = None) -> tuple[np.ndarray, Layout]:
    """(images uint8 (N, C, H, W) of 0..255, order of the axes given).

    uint8 is taken as 0..255 (as 0 and 1 where there is nothing above 1), bool as 0 and 1, floats as [0, 1]. Raises
    ``UserError`` for other types, floats out of range, and NaN.
    """
    if not isinstance(array, np.ndarray):
        raise UserError(f"images are given as an array here, not as {type(array).__name__}")
    found = layout_of(array, layout)
    if not array.size:
        raise UserError(f"images of shape {array.shape}: there is none")
    if array.dtype == bool or (array.dtype == np.uint8 and array.max() <= 1):
        values = array.astype(np.uint8) * 255
    elif array.dtype == np.uint8:
        values = array
    elif np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        where = f"float images must lie in [0, 1], these in [{low:g}, {high:g}]"
        if not np.isfinite(array).all():
            raise UserError("float images hold NaN or infinity")
        if low < 0:
            raise UserError(f"{where}: shift and scale them")
        if high > 1:
            raise UserError(f"{where}: divide by the largest value")
        values = np.rint(array * 255).astype(np.uint8)
    else:
        raise UserError(f"images of type {array.dtype}: give uint8 of 0..255, bool, or floats in [0, 1]")
    if found == "NHW":
        return values[:, None], found
    return (values if found == "NCHW" else values.transpose(0, 3, 1, 2)), found


def from_model(values: np.ndarray, layout: Layout) -> np.ndarray:
    """Images (..., C, H, W) as a model makes them to the user's order of axes, float32 in [0, 1]."""
    if layout == "NCHW":
        return values
    return values[..., 0, :, :] if layout == "NHW" else np.moveaxis(values, -3, -1)
