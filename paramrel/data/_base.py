"""The data seam: what a data set declares, and the arrays it gives."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from paramrel.data._checks import check_count, check_images, check_labels
from paramrel.errors import Unsupported, UserError
from paramrel.rng import Rng

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


@dataclass(frozen=True)
class Labelled:
    """One split: images uint8 (N, C, H, W) with values 0..``DataSet.levels``, labels int64 (N,) or (N, k).

    Images may be memory-mapped; nobody writes into them.
    """

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Column:
    """A column of a table: continuous, or one of ``n_classes`` ordered classes."""

    name: str
    n_classes: int | None = None
    """K >= 2, or None for a continuous column."""


Kind = Literal["discrete", "discretised", "continuous", "mixed"]
Binarise = Literal["no", "stored", "dynamic", "threshold"]


class DataSet(ABC):
    """A data set. A new one is one new file here: a subclass with a name, a declaration and ``load``."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raise it when the arrays change for the same files (it is part of every run's hash)."""
    title: ClassVar[str]
    source: ClassVar[str]
    licence: ClassVar[str]
    shape: ClassVar[tuple[int, int, int]]
    """(C, H, W)."""
    levels: ClassVar[int]
    """Largest stored value: 255 for 8-bit images, 16 for scikit-learn's digits, 1 for binary ones."""
    binarise: ClassVar[Binarise] = "no"
    """no: grey values. stored: the arrays hold 0 and 1. dynamic: a Bernoulli draw of value/levels, anew whenever an
    image is shown in training and once, by a fixed seed, for evaluation (Burda et al.'s dynamic MNIST, spec of the
    paper). threshold: 1 where value/levels is above one half."""
    bins: ClassVar[int]
    """K, the number of values a pixel takes for methods. Every image set is quantised, so every likelihood here is a
    probability of a bin, never a density, and bits/dim of different methods can be compared."""
    kind: ClassVar[Kind]
    """Type of flow the data set is meant for. discrete: classes 0..K-1. discretised: K = 2^k bins of [0, 1] with
    centres (2k + 1)/(2K). continuous: grey values k/(K - 1), which flows take as real numbers. mixed: a table, each
    channel a column of its own type (``columns``)."""
    columns: ClassVar[tuple[Column, ...]] = ()
    """The channels of a mixed set. Continuous columns take the values k/(bins - 1) of [0, 1]; classes 0..K-1 of a
    column are k/(K - 1), so ``levels`` must be a multiple of every K - 1."""
    label_kind: ClassVar[Literal["classes", "factors", "attributes"]] = "classes"
    """classes: one column, labels (N,). factors: a column for each factor of variation, 0..n-1. attributes: a column
    for each yes/no question, 0 or 1."""
    label_names: ClassVar[tuple[str, ...]] = ("class",)
    """One for each label column."""
    class_names: ClassVar[tuple[str, ...]] = ()
    """Names of the classes, where labels are classes."""
    prepared_once: ClassVar[bool] = False
    """True if ``prepare`` converts files or renders images, which the workflow then does as a step of its own."""
    probe_on: ClassVar[Literal["test", "all"]] = "test"
    """Images whose codes the probes (AUROC, accuracy) see. "all" needs a written reason beside it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Whatever ``load`` a subclass writes, what it gives is checked against the declaration."""
        super().__init_subclass__(**kwargs)
        if "load" in vars(cls):
            cls.load = _checked(cls.load)  # type: ignore[assignment]  # the class of self is wider

    @abstractmethod
    def load(self, split: Split) -> Labelled:
        """The arrays of one split. Raises ``UserError`` where files are missing or damaged, and for arrays that are not
        as declared."""

    def check_available(self) -> None:
        """Raises ``UserError`` if the files cannot be found; cheap, called while the DAG is built."""

    def state(self) -> Literal["ready", "found", "missing"]:
        """ready: ``load`` only reads. found: it prepares first. missing: there is nothing to prepare from."""
        return "ready"

    def size(self, split: Split) -> int:
        """Number of images of a split; cheap where it is declared, called while the DAG is built."""
        return len(self.load(split).labels)

    def prepare(self, download: bool = False, force: bool = False) -> dict[str, Any]:
        """Make everything ready that ``load`` needs and describe it. Nothing is needed for embedded sets."""
        return self.declaration() | {"form": "embedded", "counts": {split: self.size(split) for split in SPLITS}}

    def declaration(self) -> dict[str, Any]:
        """What the class declares, as plain values."""
        names = ("name", "version", "title", "source", "licence", "kind", "bins", "levels", "binarise", "label_kind")
        return {name: getattr(self, name) for name in names} | {
            "shape": list(self.shape),
            "labels": {name: list(values) for name, values in zip(self.label_names, self.value_names, strict=True)},
            **({"columns": [asdict(column) for column in self.columns]} if self.columns else {}),
        }

    @property
    def value_names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the values of each label column; a label is a position in them. Factors say them themselves."""
        return (self.class_names,) if self.label_kind == "classes" else (("no", "yes"),) * len(self.label_names)

    @property
    def label_text(self) -> str:
        """The labels in a few words: "10 classes", "40 attributes", "factors floor_hue (10), ..."."""
        if self.label_kind == "factors":
            pairs = zip(self.label_names, self.value_names, strict=True)
            return "factors " + ", ".join(f"{name} ({len(values)})" for name, values in pairs)
        n = len(self.class_names if self.label_kind == "classes" else self.label_names)
        return f"{n} {self.label_kind}"

    def attributes(self, labels: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]] | None:
        """Yes/no attributes that follow from labels: int64 (N, A) of 0 and 1, and their names; None for classes.

        Used by metrics that ask for attributes (TAD, ATTRS).
        """
        return (labels, self.label_names) if self.label_kind == "attributes" else None

    @property
    def centres(self) -> Tensor:
        """The K values of a pixel in [0, 1], ascending and evenly spaced: (K,)."""
        k = torch.arange(
            self.bins, dtype=torch.float64, device="cpu"
        )  # also where parameters are only counted ("meta")
        centres = (2 * k + 1) / (2 * self.bins) if self.kind == "discretised" else k / (self.bins - 1)
        return centres.float()

    @property
    def binary(self) -> bool:
        """True if a method sees values 0 and 1 only."""
        return self.binarise != "no"

    @property
    def n_dims(self) -> int:
        """D = C H W."""
        return int(np.prod(self.shape))

    def to_model(self, images: Tensor, rng: Rng) -> Tensor:
        """Stored uint8 (N, C, H, W) to what methods take: float32, one of ``centres`` ({0, 1} if binary).

        ``rng`` is used by dynamic binarisation only: give a stream of the step in training, and the fixed
        stream of ``evaluation_images`` in evaluation.
        """
        if self.binarise == "stored":
            return images.float()
        if self.binarise == "dynamic":
            return (rng.uniform("binarise", tuple(images.shape)) < images.float() / self.levels).float()
        if self.binarise == "threshold":
            return (images.int() * 2 > self.levels).float()
        if self.kind == "discretised":
            k = torch.div(images.int() * self.bins, self.levels + 1, rounding_mode="floor")
            return (2 * k + 1).float() / (2 * self.bins)
        return images.float() / self.levels

    def evaluation_images(self, split: Split, rows: np.ndarray | slice | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Images (N, C, H, W) as methods see them in evaluation, and labels: one fixed draw if dynamic.

        ``rows`` picks images (all if None) before they are made float, so that memory is bounded by what is asked
        for. uint8 {0, 1} if binary, else float32 in [0, 1]. Never augmented.
        """
        arrays = self.load(split)
        rows = slice(None) if rows is None else rows
        fixed = Rng(("evaluation images", self.name, split))
        if self.binarise == "dynamic":  # the draw is one for the whole split, whichever rows are asked for
            drawn = self.to_model(torch.from_numpy(arrays.images), fixed)
            return drawn.to(torch.uint8).numpy()[rows], arrays.labels[rows]
        images = self.to_model(torch.from_numpy(arrays.images[rows]), fixed)
        return (images.to(torch.uint8) if self.binary else images).numpy(), arrays.labels[rows]

    def grey(self, split: Split, rows: np.ndarray) -> np.ndarray:
        """Grey values of the images of ``rows``, whatever methods see of them: float32 (N, C, H, W) in [0, 1]."""
        return self.load(split).images[rows].astype(np.float32) / self.levels

    def other_type(self, split: Split, rows: np.ndarray) -> np.ndarray:
        """The images of ``rows`` as data of another type, float32 (N, C, H, W) in [0, 1]: grey values of a set that
        methods see binarised; of the others the least and the greatest of ``centres``, by a threshold of one half.

        Raises ``Unsupported`` for tables.
        """
        if self.kind == "mixed":
            raise Unsupported("columns of a table have their types by their meaning")
        grey = self.grey(split, rows)
        if self.binary:
            return grey
        centres = self.centres.numpy()
        return np.where(grey > 0.5, centres[-1], centres[0])

    def fingerprint(self) -> str:
        """sha256 over both splits' arrays: which numbers a run was trained and evaluated on."""
        digest = hashlib.sha256()
        for split in SPLITS:
            arrays = self.load(split)
            for array in (arrays.images, arrays.labels):
                digest.update(f"{array.dtype}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def _checked(load: Callable[[Any, Split], Labelled]) -> Callable[[Any, Split], Labelled]:
    """``load``, followed by the checks of shape, type, range and number; labels become int64."""

    @wraps(load)
    def checked_load(data: DataSet, split: Split) -> Labelled:
        arrays = load(data, split)
        if not isinstance(arrays, Labelled):
            raise UserError(f"{data.name}: load gives {type(arrays).__name__}: return Labelled(images, labels)")
        check_images(data, arrays.images, values=not isinstance(arrays.images, np.memmap))
        check_labels(data, arrays.labels)
        declared = None if type(data).size is DataSet.size else data.size(split)
        check_count(data, split, len(arrays.images), len(arrays.labels), declared)
        return Labelled(arrays.images, arrays.labels.astype(np.int64, copy=False))

    return checked_load


def hashed_split(name: str, n: int, test_fraction: float) -> np.ndarray:
    """Boolean (n,), True for test images: a rule instead of a file of numbers.

    Image i is a test image if sha256("<name>:<i>"), read as a number in [0, 1), is below ``test_fraction``:
    the same on every machine and for every version of every library.
    """
    digests = (hashlib.sha256(f"{name}:{i}".encode()).digest()[:8] for i in range(n))
    return np.array([int.from_bytes(d, "big") / 2**64 < test_fraction for d in digests])


@lru_cache(maxsize=4)
def hashed_order(name: str, n: int) -> np.ndarray:
    """The positions 0..n-1 in the order of sha256("<name>:<i>"): (n,) int64, a rule instead of a file of numbers.

    Test images are taken from the front and training images from the back, so sets of all sizes made with one name
    nest, and no training image of one is a test image of another as long as the two ends do not meet.
    """
    digests = b"".join(hashlib.sha256(f"{name}:{i}".encode()).digest()[:8] for i in range(n))
    return np.argsort(np.frombuffer(digests, ">u8"), kind="stable")


def data_root() -> Path:
    """The folder named by ``$PARAMREL_DATA``. Raises ``UserError`` if it is not set or no folder."""
    root = os.environ.get("PARAMREL_DATA")
    if not root:
        raise UserError(
            "PARAMREL_DATA is not set: set it to a folder that holds the data in torchvision's layout "
            "(for example $PARAMREL_DATA/MNIST/raw/train-images-idx3-ubyte.gz), or that they are to be downloaded to"
        )
    if not Path(root).is_dir():
        raise UserError(f"PARAMREL_DATA={root} is no folder: create it or point PARAMREL_DATA elsewhere")
    return Path(root)
