"""An .npz file that anybody may have written, read array by array. Nothing in it is executed."""

import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np

from metrics import objects
from paramrel.errors import UserError

ALWAYS = 1 << 30
"""Bytes that any file may unpack to."""
PACKED = 100
"""How many times its own size a file may unpack to beyond that: images and codes pack to no less than a tenth."""


def names_in(path: Path) -> list[str]:
    """Names of the arrays. Raises ``UserError`` for a file that is missing or no .npz file."""
    with _opened(path) as file:
        return [name.removesuffix(".npy") for name in file.namelist()]


def read_npz(path: Path, wanted: Collection[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The ``wanted`` arrays that are there, and for those that cannot be read the reason.

    Others are not unpacked. Reasons: Python objects, damage, and more bytes unpacked than 1 GiB and 100 times the file.
    """
    arrays: dict[str, np.ndarray] = {}
    reasons: dict[str, str] = {}
    limit = max(ALWAYS, PACKED * path.stat().st_size) if path.exists() else 0
    with _opened(path) as file:
        for member in file.namelist():
            name = member.removesuffix(".npy")
            if name not in wanted:
                continue
            try:
                arrays[name] = _array(file, member, name, limit - sum(array.nbytes for array in arrays.values()))
            except UserError as error:
                reasons[name] = str(error)
            except Exception as error:  # numpy and zipfile raise many kinds for damaged files
                reasons[name] = f"{name} is damaged or no plain array ({_first_line(error)})"
    return arrays, reasons


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: name an .npz file with the arrays z (N, d) and y (N,)") from error
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is no readable .npz file of plain arrays ({error}): write it with numpy.savez"
        ) from error


def _array(file: zipfile.ZipFile, member: str, name: str, left: int) -> np.ndarray:
    """One array. Raises ``UserError`` for Python objects and for more than ``left`` bytes, before they are unpacked."""
    with file.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = header(stream)
    if dtype.hasobject:
        raise UserError(objects(name))
    size = dtype.itemsize
    for length in shape:
        size *= int(length)
    if size > left:
        raise UserError(
            f"{name} unpacks to {size / 1e9:.2f} GB of {shape}, far more than a file of this size can hold: if that is "
            "right, write it with numpy.savez, unpacked"
        )
    with file.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
