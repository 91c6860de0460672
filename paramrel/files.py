"""Files that are either whole or not there."""

import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from paramrel.errors import UserError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Have ``write`` fill a temporary file beside ``path``, then move it into place.

    A kill at any moment leaves the old file or the new one. Raises ``UserError`` where ``path`` is a device, a pipe or
    a folder, and where its folder is read-only, full, or no folder. ``write`` raises ``OSError`` where it cannot write.
    """
    check_replaceable(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        if temporary is not None:
            with suppress(OSError):  # what stays is swept by who writes the file next
                temporary.unlink(missing_ok=True)


def move(path: Path, target: Path) -> None:
    """Rename a file. Raises ``UserError`` where the system does not let it."""
    try:
        path.replace(target)
    except OSError as error:
        raise _unwritable(target, error) from error


def delete(path: Path) -> None:
    """Remove a file, if it is there. Raises ``UserError`` where the system does not let it."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot remove {path}: {error.strerror or error}") from error


def check_replaceable(path: Path, link: bool = True) -> None:
    """Raises ``UserError`` where a file cannot be put at ``path`` without destroying a device, a pipe or a folder; with
    ``link=False`` also where a symbolic link is there."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return  # nothing is there; whoever writes says what else is wrong
    if not (stat.S_ISREG(mode) or (link and stat.S_ISLNK(mode))):
        raise UserError(f"{path} is there and is no regular file: name another")


def sweep(folder: Path, *names: str) -> None:
    """Remove what killed processes left of ``write_atomically`` of these files (all files, if none are named).

    For the one process that may write them: a temporary file that is still written would go too.
    """
    begun = "|".join(map(re.escape, names)) or ".+"
    left = re.compile(rf"\.({begun})\.[a-z0-9_]{{8}}(\.\w+)?")
    for path in folder.iterdir() if folder.is_dir() else ():
        if left.fullmatch(path.name) and path.is_file():
            delete(path)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with \\n line ends, atomically; bytes of a file's name that are no text as JSON has them."""
    data = text.encode(errors="backslashreplace")
    write_atomically(path, lambda temporary: temporary.write_bytes(data))


def write_arrays(path: Path, arrays: Mapping[str, Any], *, compressed: bool = True) -> None:
    """Write named arrays as an .npz file, atomically."""
    save = np.savez_compressed if compressed else np.savez
    write_atomically(path, lambda temporary: save(temporary, **arrays))


def append_text(path: Path, text: str) -> None:
    """Append UTF-8 text. Raises ``UserError`` where the folder is read-only or full; a reader must cope with half a
    last line."""
    try:
        with path.open("a", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise _unwritable(path, error) from error


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON with sorted keys, atomically. NaN and infinity are errors."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def write_record(path: Path, value: dict[str, Any]) -> None:
    """``write_json`` with the key ``digest``: sha256 of all other keys, so that damage and edits are noticed."""
    write_json(path, value | {"digest": _digest(value)})


def read_record(path: Path, *keys: str, remedy: str = "run snakemake again") -> dict[str, Any]:
    """Read what ``write_record`` wrote, without the digest; files of earlier versions have none and are taken as they
    are.

    Raises ``UserError`` where the file is damaged, edited or lacks one of ``keys``; ``FileNotFoundError`` where there
    is none. ``remedy``: what to do after deleting it.
    """
    try:
        value = json.loads(path.read_bytes())
        if not isinstance(value, dict):
            raise ValueError("it is no record")
        digest = value.pop("digest", None)
        if digest is not None and digest != _digest(value):
            raise ValueError("its digest is that of another content")
        missing = [key for key in keys if key not in value]
        if missing:
            raise ValueError(f"it has no {', '.join(missing)}")
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged or was edited ({error}): delete it and {remedy}") from error
    return value


def _digest(value: dict[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def check_writable(folder: Path) -> None:
    """Raises ``UserError`` unless a file of 64 KiB can be written into ``folder`` (made if missing)."""
    probe = folder / ".writable"
    write_atomically(probe, lambda temporary: temporary.write_bytes(bytes(1 << 16)))
    delete(probe)  # another process that asks the same question may have removed it


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write {path}: {error.strerror or error}: make {path.parent} a writable folder with free space, "
        "or choose another"
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
