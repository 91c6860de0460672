"""Contact sheets: many small images in one."""

from pathlib import Path

import numpy as np
from PIL import Image

from paramrel.data import DataSet
from paramrel.data.shapes3d import SixFactors
from paramrel.errors import UserError, unknown
from paramrel.files import write_atomically


def save_sheet(data: DataSet, out: Path, rows: int, columns: int, factor: str | None = None) -> None:
    """Write images of ``data`` as a PNG.

    Sets with factors: a row for each factor, in which it alone changes; with ``factor``, ``rows`` scenes in which that
    one changes. Others: the first ``rows`` x ``columns`` test images. Raises ``UserError`` for a table.
    """
    if data.kind == "mixed":
        raise UserError(f"{data.name} is a table and has no images: paramrel data show {data.name} lists its columns")
    if factor is not None and factor not in (data.label_names if isinstance(data, SixFactors) else ()):
        raise unknown("factor", factor, data.label_names if isinstance(data, SixFactors) else ())
    if isinstance(data, SixFactors):
        n = data.size("test")
        places = [(k, n // 3) for k in range(len(data.label_names))]
        if factor is not None:
            places = [(data.label_names.index(factor), (2 * row + 1) * n // (2 * rows)) for row in range(rows)]
        strips = [data.sweep(k, row) for k, row in places]
        columns = max(map(len, strips))
        blank = np.full((1, *data.shape), 255, np.uint8)
        images = np.concatenate([np.concatenate([s, *[blank] * (columns - len(s))]) for s in strips])
    else:
        images = np.asarray(data.load("test").images[: rows * columns])
        images = (images[: len(images) // columns * columns].astype(np.uint16) * 255 // data.levels).astype(np.uint8)
    write_atomically(out, lambda temporary: tile(images, columns).save(temporary, "PNG", optimize=True))


def tile(images: np.ndarray, columns: int) -> Image.Image:
    """uint8 (N, C, H, W) as one picture, row by row; N is a multiple of ``columns``."""
    import torch
    from torchvision.utils import make_grid

    grid = make_grid(torch.tensor(images), nrow=columns, padding=0).permute(1, 2, 0).numpy()
    return Image.fromarray(grid if images.shape[1] == 3 else grid[..., 0])  # of one channel it makes three
