"""The data seam: what a data set declares, and the arrays it gives."""

import hashlib
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from paramrel.errors import UserError
from paramrel.rng import Rng

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Arrays:
    """One split: images uint8 (N, C, H, W) with values 0..``DataSet.levels``, labels int64 (N,) or (N, k)."""

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise TypeError(f"images must be uint8 (N, C, H, W), got {self.images.dtype} {self.images.shape}")
        if len(self.images) != len(self.labels):
            raise UserError(f"{len(self.images)} images but {len(self.labels)} labels: the files do not match")


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
    binarise: ClassVar[Literal["no", "stored", "dynamic"]] = "no"
    """no: grey values. stored: the arrays hold 0 and 1. dynamic: a Bernoulli draw of value/levels, anew at every
    training step and once, by a fixed seed, for evaluation (Burda et al.'s dynamic MNIST, spec of the paper)."""
    bins: ClassVar[int]
    """K, the number of values a pixel takes for methods. Every image set is quantised, so every likelihood here is a
    probability of a bin, never a density, and bits/dim of different methods can be compared."""
    kind: ClassVar[Literal["discrete", "discretised", "continuous"]]
    """Type of flow the data set is meant for. discrete: classes 0..K-1. discretised: K = 2^k bins of [0, 1] with
    centres (2k + 1)/(2K). continuous: grey values k/(K - 1), which flows take as real numbers."""
    class_names: ClassVar[tuple[str, ...]]
    probe_on: ClassVar[Literal["test", "all"]] = "test"
    """Images whose codes the probes (AUROC, accuracy) see. "all" needs a written reason beside it."""

    @abstractmethod
    def load(self, split: Split) -> Arrays:
        """The arrays of one split. Raises ``UserError`` where files are missing or damaged."""

    def check_available(self) -> None:
        """Raises ``UserError`` if the files cannot be found; cheap, called while the DAG is built."""

    @property
    def centres(self) -> Tensor:
        """The K values of a pixel in [0, 1], ascending and evenly spaced: (K,)."""
        k = torch.arange(self.bins, dtype=torch.float64)
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
        values = images.float() / self.levels
        if self.binarise == "dynamic":
            return (rng.uniform("binarise", tuple(values.shape)) < values).float()
        if self.kind == "discretised":
            k = torch.div(images.long() * self.bins, self.levels + 1, rounding_mode="floor")
            return (2 * k + 1).float() / (2 * self.bins)
        return values

    def evaluation_images(self, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """Images (N, C, H, W) as methods see them in evaluation, and labels: one fixed draw if dynamic.

        uint8 {0, 1} if binary, else float32 in [0, 1].
        """
        arrays = self.load(split)
        fixed = Rng(("evaluation images", self.name, split))
        images = self.to_model(torch.from_numpy(arrays.images), fixed).numpy()
        return images.astype(np.uint8) if self.binary else images, arrays.labels

    def fingerprint(self) -> str:
        """sha256 over both splits' arrays: which numbers a run was trained and evaluated on."""
        digest = hashlib.sha256()
        for split in ("train", "test"):
            arrays = self.load(split)
            for array in (arrays.images, arrays.labels):
                digest.update(f"{array.dtype}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()


def hashed_split(name: str, n: int, test_fraction: float) -> np.ndarray:
    """Boolean (n,), True for test images: a rule instead of a file of numbers.

    Image i is a test image if sha256("<name>:<i>"), read as a number in [0, 1), is below ``test_fraction``:
    the same on every machine and for every version of every library.
    """
    digests = (hashlib.sha256(f"{name}:{i}".encode()).digest()[:8] for i in range(n))
    return np.array([int.from_bytes(d, "big") / 2**64 < test_fraction for d in digests])


def data_root() -> Path:
    """The folder named by ``$PARAMREL_DATA``. Raises ``UserError`` if it is not set or no folder."""
    root = os.environ.get("PARAMREL_DATA")
    if not root:
        raise UserError(
            "PARAMREL_DATA is not set: set it to a folder that holds the data in torchvision's layout "
            "(for example $PARAMREL_DATA/MNIST/raw/train-images-idx3-ubyte.gz)"
        )
    if not Path(root).is_dir():
        raise UserError(f"PARAMREL_DATA={root} is no folder: create it or point PARAMREL_DATA elsewhere")
    return Path(root)
