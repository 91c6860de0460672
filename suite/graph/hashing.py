"""Hashes: short ones of plain values, for paths; of files."""

import hashlib
import json
from pathlib import Path
from typing import Any


def short_hash(value: Any) -> str:
    """sha256 of canonical JSON, ten digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:10]


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, 64 hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
