"""MNIST-like sets: gzipped idx files in torchvision's layout under ``$PARAMREL_DATA/<folder>/raw``.

torchvision's own readers want decompressed copies beside the files, so a read-only data folder would not do;
and importing torchvision is not possible with every CPU build of torch.
"""

import gzip
import hashlib
import struct
import zlib
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from paramrel.data._base import Arrays, DataSet, Split, data_root
from paramrel.errors import UserError


class IdxDataSet(DataSet):
    """60,000 + 10,000 images of 1x28x28 with 10 classes, binarised dynamically."""

    folder: ClassVar[str]
    md5: ClassVar[dict[str, str]]
    """Official MD5 of each file, as torchvision checks them."""
    shape = (1, 28, 28)
    levels = 255
    bins = 2
    kind = "discrete"
    binarise = "dynamic"

    def load(self, split: Split) -> Arrays:
        prefix = "train" if split == "train" else "t10k"
        images = self._read(f"{prefix}-images-idx3-ubyte.gz")
        labels = self._read(f"{prefix}-labels-idx1-ubyte.gz")
        return Arrays(images[:, None], labels.astype(np.int64))

    def check_available(self) -> None:
        for name in self.md5:
            self._path(name)

    def _path(self, name: str) -> Path:
        folder = data_root() / self.folder / "raw"
        path = folder / name
        if not path.is_file():
            raise UserError(
                f"{self.name}: {path} is missing: get the four .gz files of {self.source} "
                f"({', '.join(self.md5)}) and put them into {folder}"
            )
        return path

    def _read(self, name: str) -> np.ndarray:
        return _read_checked(self.name, self._path(name), self.md5[name])


@lru_cache(maxsize=8)
def _read_checked(data_set: str, path: Path, md5: str) -> np.ndarray:
    """The array in a gzipped idx file, after its checksum was verified."""
    packed = path.read_bytes()
    found = hashlib.md5(packed, usedforsecurity=False).hexdigest()
    if found != md5:
        raise UserError(
            f"{data_set}: {path} is damaged (MD5 {found}, expected {md5}): replace it with the official file"
        )
    try:
        raw = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{data_set}: {path} cannot be decompressed ({error}): replace it") from error
    return parse_idx(raw, str(path))


def parse_idx(raw: bytes, name: str) -> np.ndarray:
    """uint8 array of an idx file: magic 0, 0, 8 (unsigned byte), number of axes, then the axes, big endian."""
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08":
        raise UserError(f"{name} is no idx file of unsigned bytes: replace it with the official file")
    n_axes = raw[3]
    shape = struct.unpack(f">{n_axes}I", raw[4 : 4 + 4 * n_axes])
    body = raw[4 + 4 * n_axes :]
    if len(body) != int(np.prod(shape)):
        raise UserError(f"{name} holds {len(body)} values where its header says {shape}: replace it")
    return np.frombuffer(body, np.uint8).reshape(shape).copy()
