"""Data sets that a user brings as arrays: declared at run time, and rebuilt from their declaration without the
arrays."""

from typing import Any, ClassVar

import numpy as np

from paramrel.data._base import Binarise, DataSet, Kind, Labelled, Split, hashed_split
from paramrel.errors import UserError

FEWEST = 8
"""Images that a training part needs at least."""


class OwnImages(DataSet):
    """Images of a user. ``own_images`` makes a subclass for each set, which carries the declaration."""

    source = "given by the user"
    licence = "the user's"
    arrays: ClassVar[dict[Split, Labelled]] = {}
    """Nothing where only the declaration is there: a model that was loaded from a folder."""

    def load(self, split: Split) -> Labelled:
        if split not in self.arrays:
            raise UserError(f"{self.name}: the model was loaded without its images; give images to what you call")
        return self.arrays[split]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled (by scikit-learn's parallel jobs) as its declaration, without the images."""
        return declared_images, (self.name, self.shape, self.binary, self.class_names, {})


def declared_images(
    name: str, shape: tuple[int, int, int], binary: bool, class_names: tuple[str, ...], arrays: dict[Split, Labelled]
) -> OwnImages:
    """A set of this declaration. Binary images are of kind discrete with 2 values, others discretised into 256 bins."""
    kind: Kind = "discrete" if binary else "discretised"
    binarise: Binarise = "stored" if binary else "no"
    declared: dict[str, Any] = {
        "name": name,
        "title": name,
        "shape": shape,
        "kind": kind,
        "binarise": binarise,
        "levels": 1 if binary else 255,
        "bins": 2 if binary else 256,
        "class_names": class_names,
        "arrays": arrays,
    }
    return type("OwnImages", (OwnImages,), declared)()


def own_images(
    images: np.ndarray, labels: np.ndarray | None, name: str, test: float, is_test: np.ndarray | None = None
) -> OwnImages:
    """A set of uint8 images (N, C, H, W), 0..255, and labels (N,), any values or none.

    A share ``test`` of the images is held out by ``hashed_split``, or those that ``is_test`` names. Images that hold
    0 and 255 only are binary. Raises ``UserError`` for too few images, or labels of another length.
    """
    if labels is not None and len(labels) != len(images):
        raise UserError(f"{len(images)} images but {len(labels)} labels: give one label per image")
    mine = hashed_split(name, len(images), test) if is_test is None else is_test
    if (~mine).sum() < FEWEST:
        raise UserError(f"{name}: {int((~mine).sum())} images to train on are too few: give {FEWEST} at least")
    classes, numbers = (
        (np.array(["unlabelled"]), np.zeros(len(images), np.int64))
        if labels is None
        else np.unique(labels, return_inverse=True)
    )
    binary = bool(np.isin(images, (0, 255)).all())
    stored = (images // 255).astype(np.uint8) if binary else images
    arrays: dict[Split, Labelled] = {
        "train": Labelled(stored[~mine], numbers[~mine].astype(np.int64)),
        "test": Labelled(stored[mine], numbers[mine].astype(np.int64)),
    }
    shape = (images.shape[1], images.shape[2], images.shape[3])
    return declared_images(name, shape, binary, tuple(map(str, classes)), arrays)
