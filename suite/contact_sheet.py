"""Contact sheets: many small images in one."""

from pathlib import Path

import numpy as np
from PIL import Image

from paramrel.data import DataSet
from paramrel.files import write_atomically


def save_sheet(data: DataSet, out: Path, columns: int, rows: int) -> None:
    """Write test images of ``data`` as a PNG: for factors a row for each, in which it alone changes as far as the
    test images go (nearest scenes to a middle one); else the first ``rows`` x ``columns``."""
    arrays = data.load("test")
    if data.label_kind == "factors":
        chosen = np.stack([_row(arrays.labels, k, len(data.value_names[k]), columns) for k in range(arrays.labels.shape[1])])  # fmt: skip
    else:
        chosen = np.arange(min(rows * columns, len(arrays.labels) // columns * columns)).reshape(-1, columns)
    images = np.asarray(arrays.images[chosen.ravel()]).astype(np.uint16) * 255 // data.levels
    write_atomically(
        out, lambda temporary: tile(images.astype(np.uint8), columns).save(temporary, "PNG", optimize=True)
    )


def tile(images: np.ndarray, columns: int) -> Image.Image:
    """uint8 (N, C, H, W) as one picture; N is a multiple of ``columns``."""
    n, c, h, w = images.shape
    grid = (
        images.reshape(n // columns, columns, c, h, w)
        .transpose(0, 3, 1, 4, 2)
        .reshape(n // columns * h, columns * w, c)
    )
    return Image.fromarray(grid if c == 3 else grid[..., 0])


def _row(labels: np.ndarray, factor: int, n_values: int, columns: int) -> np.ndarray:
    """For each of ``columns`` values of a factor, the image whose other factors are nearest to the middle."""
    middle = (labels.max(0) + 1) // 2
    others = np.arange(labels.shape[1]) != factor
    distance = (np.abs(labels - middle) / np.maximum(labels.max(0), 1))[:, others].sum(1)
    values = np.rint(np.linspace(0, n_values - 1, columns)).astype(int)
    return np.array([np.where(labels[:, factor] == v, distance, np.inf).argmin() for v in values])
