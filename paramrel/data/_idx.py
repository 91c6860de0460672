"""MNIST-like sets: idx files in torchvision's layout under ``$PARAMREL_DATA/<folder>/raw``, packed or not."""

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from paramrel.data._base import SPLITS, Binarise, Kind
from paramrel.data._downloads import File, Form
from paramrel.data._prepared import Chunk, Prepared
from paramrel.errors import UserError


class IdxDataSet(Prepared):
    """60,000 + 10,000 images of 1x28x28 with 10 classes, binarised dynamically unless a subclass says otherwise."""

    shape = (1, 28, 28)
    levels = 255
    bins = 2
    kind: ClassVar[Kind] = "discrete"
    binarise: ClassVar[Binarise] = "dynamic"
    counts: ClassVar[dict] = {"train": 60_000, "test": 10_000}

    def read(self, form: Form, root: Path) -> Iterator[Chunk]:
        arrays = [read_idx(self.name, root / file.path) for file in form.files]
        for split, images, labels in zip(SPLITS, arrays[::2], arrays[1::2], strict=True):
            if labels.shape != images.shape[:1]:
                raise UserError(
                    f"{self.name}: {len(images)} images but {labels.shape[0]} labels of the {split} split: "
                    "the label file does not match"
                )
            yield split, images[:, None], labels


def idx_forms(
    folder: str, mirrors: tuple[str, ...], packed: tuple[str, ...], unpacked: tuple[str, ...]
) -> tuple[Form, Form]:
    """The two forms of an idx set, from MD5 of the four files in the order of ``names``."""
    names = [f"{prefix}-{what}-ubyte" for prefix in ("train", "t10k") for what in ("images-idx3", "labels-idx1")]
    gz = tuple(
        File(f"{folder}/raw/{name}.gz", md5, tuple(f"{mirror}{name}.gz" for mirror in mirrors))
        for name, md5 in zip(names, packed, strict=True)
    )
    raw = tuple(File(f"{folder}/raw/{name}", md5) for name, md5 in zip(names, unpacked, strict=True))
    return Form("gzipped idx files", gz), Form("idx files", raw)


def read_idx(data_set: str, path: Path) -> np.ndarray:
    """The array in an idx file, unpacked first if its name ends in .gz."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
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
