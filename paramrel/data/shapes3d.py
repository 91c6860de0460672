"""3D Shapes, from the official file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np

from paramrel.data._base import hashed_order
from paramrel.data._downloads import File, Form
from paramrel.data._prepared import Chunk, Prepared
from paramrel.data._render import FACTOR_SIZES, HUES, ORIENTATIONS, SCALES, SHAPES
from paramrel.errors import UserError

URL = "https://storage.googleapis.com/3d-shapes/3dshapes.h5"
# SHA-256 as TensorFlow Datasets checks it; 267,573,662 bytes
DIGEST = "0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785"
CHUNK = 4800


class SixFactors(Prepared):
    """What 3D Shapes and our rendering of its scenes share: six factors, 480,000 combinations, one rule for splits.

    Test scenes are the first of ``hashed_order("shapes3d", 480,000)``, training scenes the last.
    """

    levels = 255
    bins = 256
    kind = "discretised"
    label_kind = "factors"
    label_names = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
    sizes: ClassVar[tuple[int, ...]] = FACTOR_SIZES
    ordered: ClassVar[tuple[str, ...]] = ("scale", "orientation")
    """Factors with more and less; hues are a circle, shapes are names."""

    @property
    def value_names(self) -> tuple[tuple[str, ...], ...]:
        hues = tuple(f"{hue:.1f}" for hue in HUES)
        scales, turns = tuple(f"{s:.3f}" for s in SCALES), tuple(f"{o:.1f}" for o in ORIENTATIONS)
        full = (hues, hues, hues, scales, SHAPES, turns)
        return tuple(names[:n] for names, n in zip(full, self.sizes, strict=True))

    def attributes(self, labels: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """One for every value of every factor, then one for the upper half of each ordered factor."""
        columns, names = [], []
        for column, name, values in zip(labels.T, self.label_names, self.value_names, strict=True):
            columns += [column == k for k in range(len(values))]
            names += [f"{name}={value}" for value in values]
        for name in self.ordered:
            k = self.label_names.index(name)
            half = -(-len(self.value_names[k]) // 2)  # the lower half has the middle of an odd number
            columns.append(labels[:, k] >= half)
            names.append(f"{name}>={self.value_names[k][half]}")
        return np.stack(columns, 1).astype(np.int64), tuple(names)

    def scenes(self) -> dict[str, np.ndarray]:
        """Positions of each split's scenes among all combinations, ascending."""
        order = hashed_order("shapes3d", int(np.prod(self.sizes)))
        return {
            "train": np.sort(order[len(order) - self.counts["train"] :]),
            "test": np.sort(order[: self.counts["test"]]),
        }

    def sweep(self, factor: int, row: int) -> np.ndarray:
        """Images (n, C, H, W) for the n values of a factor around test scene ``row``: the nearest test images."""
        arrays = self.load("test")
        distance = np.delete(np.abs(arrays.labels - arrays.labels[row]) / self.sizes, factor, 1).sum(1)
        own = arrays.labels[:, factor]
        return arrays.images[[np.where(own == k, distance, np.inf).argmin() for k in range(self.sizes[factor])]]

    def details(self) -> dict[str, Any]:
        return {"split": 'test: first of the scenes ordered by sha256("shapes3d:<position>"); train: last'}


class Shapes3d(SixFactors):
    """3D Shapes: 480,000 images of 64x64, one for each combination of six factors; a tenth is for testing."""

    name = "shapes3d"
    title = "3D Shapes"
    source = "3D Shapes (C. Burgess, H. Kim, 2018), github.com/google-deepmind/3d-shapes"
    licence = "Apache-2.0"
    by_hand = URL
    shape = (3, 64, 64)
    counts: ClassVar[dict] = {"train": 432_000, "test": 48_000}
    forms = (
        Form("official HDF5 file", (File("3dshapes.h5", DIGEST, (URL,)),)),
        Form("the same in a folder", (File("3dshapes/3dshapes.h5", DIGEST),)),
    )

    def read(self, form: Form, root: Path) -> Iterator[Chunk]:
        path = root / form.files[0].path
        is_test = np.zeros(int(np.prod(self.sizes)), bool)
        is_test[self.scenes()["test"]] = True
        try:
            with h5py.File(path) as file:
                images, values = file["images"], file["labels"][:]
                if images.shape != (len(is_test), 64, 64, 3) or images.dtype != np.uint8:
                    raise UserError(f"{self.name}: {path} holds images {images.dtype} {images.shape}, not 3D Shapes")
                labels = label_classes(values, self.sizes, str(path))
                for start in range(0, len(is_test), CHUNK):
                    rows = slice(start, min(start + CHUNK, len(is_test)))
                    part = images[rows].transpose(0, 3, 1, 2)
                    mine = is_test[rows]
                    yield "train", part[~mine], labels[rows][~mine]
                    yield "test", part[mine], labels[rows][mine]
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise UserError(
                f"{self.name}: {path} is damaged or not 3dshapes.h5 ({error}): get it from {URL}"
            ) from error


def label_classes(values: np.ndarray, sizes: tuple[int, ...], path: str) -> np.ndarray:
    """Factor classes int64 (N, 6) from the values that the file stores, float (N, 6).

    Each factor's values are evenly spaced, so the class is (value - lowest) / (highest - lowest) (n - 1), rounded:
    truncation merges two classes of scale, because (0.75 + k/14 - 0.75) * 14 is just below k for some k. Raises
    ``UserError`` unless every value is on that grid and the rows are all combinations in order.
    """
    n = int(np.prod(sizes))
    if values.shape != (n, len(sizes)):
        raise UserError(f"{path}: labels are {values.shape}, not ({n}, {len(sizes)}): the label array does not match")
    low, high = values.min(0), values.max(0)
    steps = np.array(sizes) - 1
    exact = (values - low) / np.where(high > low, high - low, 1) * steps
    classes = np.rint(exact)
    in_order = np.stack(np.unravel_index(np.arange(n), sizes), 1)
    if np.abs(exact - classes).max() > 0.01 or not np.array_equal(classes, in_order):
        raise UserError(f"{path}: the labels are not the {n} combinations of {sizes} values in order: another file?")
    return in_order
