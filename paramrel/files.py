"""Files that are either whole or not there."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from paramrel.errors import UserError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Have ``write`` fill a temporary file beside ``path``, then move it into place.

    A kill at any moment leaves the old file or the new one. Raises ``UserError`` naming the folder where it is
    read-only, full, or no folder.
    """
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
    except Exception as error:
        # safetensors wraps a full disk in an error of its own
        if "os error 28" in str(error) or "No space left" in str(error):
            raise _unwritable(path, OSError(28, "No space left on device")) from error
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with \\n line ends, atomically."""
    write_atomically(path, lambda temporary: temporary.write_bytes(text.encode()))


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


def check_writable(folder: Path) -> None:
    """Raises ``UserError`` unless a file of 64 KiB can be written into ``folder`` (made if missing)."""
    probe = folder / ".writable"
    write_atomically(probe, lambda temporary: temporary.write_bytes(bytes(1 << 16)))
    probe.unlink(missing_ok=True)  # another process that asks the same question may have removed it


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write {path}: {error.strerror or error}: make {path.parent} a writable folder with free space, "
        "or choose another"
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
