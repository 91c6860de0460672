"""Short hashes of plain values, for paths."""

import hashlib
import json
from typing import Any


def short_hash(value: Any) -> str:
    """sha256 of canonical JSON, ten digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:10]
