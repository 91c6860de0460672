"""Whether arrays are what their data set declares."""

from typing import Protocol

import numpy as np

from paramrel.errors import UserError


class Declared(Protocol):
    """What a data set says of its arrays (``DataSet``)."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, int, int]: ...
    @property
    def levels(self) -> int: ...
    @property
    def label_names(self) -> tuple[str, ...]: ...
    @property
    def value_names(self) -> tuple[tuple[str, ...], ...]: ...


def check_images(data: Declared, images: np.ndarray, values: bool = True) -> None:
    """Raises ``UserError`` with one line unless ``images`` are uint8 (N, C, H, W) of the declared shape, in
    0..``levels``.

    ``values``: read them all. (What was prepared was read when it was written.)
    """
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        raise UserError(
            f"{data.name}: images are {_kind(images)}, not uint8: store them as whole numbers 0..{data.levels}"
        )
    if images.ndim != 4 or images.shape[1:] != data.shape:
        raise UserError(f"{data.name}: images are {images.shape[1:]}, not of the declared shape {data.shape} (C, H, W)")
    if values and images.max(initial=0) > data.levels:
        raise UserError(
            f"{data.name}: images reach {images.max()}, but levels = {data.levels} is declared as the largest"
        )


def check_labels(data: Declared, labels: np.ndarray) -> None:
    """Raises ``UserError`` with one line unless ``labels`` are whole numbers (N,), or (N, k) for k columns, each from 0
    to one less than the number of the column's values."""
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
        raise UserError(f"{data.name}: labels are {_kind(labels)}, not whole numbers: number the classes from 0")
    sizes = tuple(map(len, data.value_names))
    if not all(sizes):
        raise UserError(f"{data.name}: no values of its labels are named: declare class_names")
    columns = labels[:, None] if labels.ndim == 1 else labels
    if columns.ndim != 2 or columns.shape[1] != len(sizes):
        raise UserError(f"{data.name}: labels {labels.shape} do not fit the {len(sizes)} declared column(s)")
    for column, n, name in zip(columns.T, sizes, data.label_names, strict=True):
        if len(column) and not (column.min() >= 0 and column.max() < n):
            raise UserError(
                f"{data.name}: labels of {name!r} are {column.min()}..{column.max()}, but its {n} values have the "
                f"numbers 0..{n - 1}: count from 0 (or the label file does not match)"
            )


def check_count(data: Declared, what: str, n: int, n_labels: int, declared: int | None) -> None:
    """Raises ``UserError`` unless there are images, as many as labels and as many as are declared."""
    if n != n_labels:
        raise UserError(f"{data.name}: {n} {what} images but {n_labels} labels: the files do not match")
    if n == 0 or (declared is not None and n != declared):
        raise UserError(f"{data.name}: {n} {what} images, not {declared or 'one at least'}: the files are not complete")


def _kind(array: object) -> str:
    if not isinstance(array, np.ndarray):
        return f"a {type(array).__name__}"
    return "text" if array.dtype.kind in "USO" else str(array.dtype)
