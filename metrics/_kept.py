"""A computation that depends on the data set alone: its result is kept on disk for all cells and processes."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Memory

from metrics._shared import content
from paramrel.files import write_atomically

_folder: ContextVar[Path | None] = ContextVar("_folder", default=None)


@contextmanager
def keep_in(folder: Path | None) -> Iterator[None]:
    """Inside, results of ``kept`` computations are read from ``folder`` (None: nowhere) and written to it.

    It must stand for all that they depend on besides their arguments: versions of libraries, kernels.
    """
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def kept(compute: Callable[..., Any]) -> Callable[..., Any]:
    """``compute`` with its results kept inside ``keep_in``, nowhere else, and not where the folder cannot be written.

    Arguments are told apart by content: arrays by their values, estimators by their settings. A result that cannot be
    read back is computed anew.
    """

    @wraps(compute)
    def run(*args: Any) -> Any:
        folder = _folder.get()
        return Memory(folder if folder and _writable(folder) else None, verbose=0).cache(compute)(*args)

    return run


def kept_arrays(compute: Callable[..., dict[str, np.ndarray]]) -> Callable[..., dict[str, np.ndarray]]:
    """The same for a function that gives arrays by name: they are kept as a plain .npz file, whose name is a hash of the
    arguments (arrays by their values, all else as it prints)."""

    @wraps(compute)
    def run(*args: Any) -> dict[str, np.ndarray]:
        folder = _folder.get()
        if folder is None or not _writable(folder):
            return compute(*args)
        key = repr([content(arg) if isinstance(arg, np.ndarray) else arg for arg in args])
        path = folder / f"{compute.__name__}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        except Exception:  # it is not there, or damaged: numpy and zipfile raise many kinds
            found = compute(*args)
            write_atomically(path, lambda temporary: np.savez(temporary, **found))
            return found

    return run


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
