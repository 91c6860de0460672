"""Scenes like those of 3D Shapes, rendered here: no download. Never called 3D Shapes, whose pixels are others."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from paramrel.data._base import SPLITS
from paramrel.data._downloads import Form
from paramrel.data._prepared import Chunk
from paramrel.data._render import factors_of, render, render_chunks
from paramrel.data.shapes3d import SixFactors


class Shapes3dRendered(SixFactors):
    """All 480,000 combinations at 64x64, split as ``shapes3d`` is: the same scenes are for testing."""

    name = "shapes3d_rendered"
    title = "rendered shapes (64x64)"
    source = "ours, after the factors of 3D Shapes (C. Burgess, H. Kim, 2018)"
    licence = "Apache-2.0"
    shape = (3, 64, 64)
    counts: ClassVar[dict] = {"train": 432_000, "test": 48_000}

    def read(self, form: Form, root: Path) -> Iterator[Chunk]:
        scenes = self.scenes()
        for split in SPLITS:
            for positions, images in render_chunks(scenes[split], self.shape[1]):
                yield split, images, factors_of(positions)

    def sweep(self, factor: int, row: int) -> np.ndarray:
        scene = np.tile(factors_of(self.scenes()["test"][row : row + 1]), (self.sizes[factor], 1))
        scene[:, factor] = np.arange(self.sizes[factor])
        return render(np.ravel_multi_index(tuple(scene.T), self.sizes), self.shape[1])


class Shapes3dRendered32(Shapes3dRendered):
    """50,000 + 10,000 scenes at 32x32."""

    name = "shapes3d_rendered_32"
    title = "rendered shapes (32x32)"
    shape = (3, 32, 32)
    counts: ClassVar[dict] = {"train": 50_000, "test": 10_000}


class Shapes3dRendered16(Shapes3dRendered):
    """4,000 + 1,500 scenes at 16x16: for quick runs."""

    name = "shapes3d_rendered_16"
    title = "rendered shapes (16x16)"
    shape = (3, 16, 16)
    counts: ClassVar[dict] = {"train": 4000, "test": 1500}


class Shapes3dRendered16Large(Shapes3dRendered16):
    """100,000 + 10,000 scenes at 16x16: for trainings that would know 4,000 by heart. Its test scenes hold those of the
    smaller set."""

    name = "shapes3d_rendered_16_large"
    title = "rendered shapes (16x16, 100,000)"
    counts: ClassVar[dict] = {"train": 100_000, "test": 10_000}
