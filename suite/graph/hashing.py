"""Hashes: short ones of plain values, for paths; of files."""

import hashlib
import json
from pathlib import Path
from typing import Any

from paramrel.errors import UserError


def short_hash(value: Any) -> str:
    """sha256 of canonical JSON, ten digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:10]


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, 64 hexadecimal digits. Raises ``UserError`` where there is a file that cannot be
    read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
