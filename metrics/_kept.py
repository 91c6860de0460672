"""A computation that depends on the data set alone: its result is kept on disk for all cells and processes."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any

from joblib import Memory

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


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
