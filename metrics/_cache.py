"""Computations that several metrics, or several evaluations, share: in memory, and as plain arrays on disk.

``in_memory`` keeps the last results of a computation while an evaluation reads them. ``on_disk`` keeps named arrays in
the folder of ``keep_in``, for other cells and processes: .npz files of plain arrays, from which no code is ever run.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

from paramrel.errors import UserError
from paramrel.files import write_arrays

N_KEPT = 32
"""Results that are kept in memory: enough for a curve of progressive codes."""

Named = dict[str, np.ndarray]
"""Arrays by name."""

_folder: ContextVar[Path | None] = ContextVar("_folder", default=None)


@contextmanager
def keep_in(folder: Path | None) -> Iterator[None]:
    """Inside, ``on_disk`` computations read their results from ``folder`` and write them to it. None: nowhere.

    The folder must stand for all that results depend on besides their arguments: versions of libraries, kernels.
    """
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def in_memory(compute: Callable[..., Any]) -> Callable[..., Any]:
    """``compute`` with its last results kept: AUROC and accuracy come from the same fits, D, C and I from one matrix.

    Arrays are told apart by their content, so that an array changed in place is another one.
    """
    kept: OrderedDict[str, Any] = OrderedDict()

    @wraps(compute)
    def run(*args: Any) -> Any:
        key = key_of(args)
        if key not in kept:
            kept[key] = compute(*args)
        kept.move_to_end(key)
        while len(kept) > N_KEPT:
            kept.popitem(last=False)
        return kept[key]

    return run


def on_disk(compute: Callable[..., Named]) -> Callable[..., Named]:
    """``compute`` with its arrays kept inside ``keep_in``, nowhere else, and not where the folder cannot be written.

    A file that is damaged, or that holds anything else than plain arrays, is ignored and made anew.
    """

    @wraps(compute)
    def run(*args: Any) -> Named:
        folder = _folder.get()
        if folder is None or not _writable(folder):
            return compute(*args)
        path = folder / f"{compute.__name__}-{key_of(args)}.npz"
        found = _read(path)
        return _written(path, compute(*args)) if found is None else found

    return run


def key_of(args: tuple[Any, ...]) -> str:
    """Name of a tuple of arguments: arrays by shape, type and values; others by ``repr``, which must tell them
    apart."""
    digest = hashlib.blake2b(digest_size=20)
    for arg in args:
        if isinstance(arg, np.ndarray):
            digest.update(f"array {arg.dtype} {arg.shape};".encode())
            digest.update(np.ascontiguousarray(arg).tobytes())
        else:
            digest.update(f"{type(arg).__name__} {arg!r};".encode())
    return digest.hexdigest()


def _read(path: Path) -> Named | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception:  # numpy and zipfile raise many kinds for damaged files
        return None


def _written(path: Path, arrays: Named) -> Named:
    """``arrays``, also as a file if the disk allows."""
    try:
        write_arrays(path, arrays, compressed=False)
    except UserError:
        return arrays
    return arrays


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
