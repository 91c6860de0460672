"""Which code and which environment run: the commit of the checkout, the hash of the lock. No torch."""

import subprocess
from pathlib import Path
from typing import Any

from suite.hashing import file_sha256

ROOT = Path(__file__).resolve().parent.parent


def code() -> dict[str, Any]:
    """Commit of the code and whether it has uncommitted changes outside results/; nulls outside a git checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", ".", ":!results", ":!dvc.lock")
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": bool(changed)}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def lock_hash() -> str | None:
    """sha256 of uv.lock: which environment."""
    lock = ROOT / "uv.lock"
    return file_sha256(lock) if lock.exists() else None


def in_words(code: dict[str, Any] | None) -> str:
    """``code()`` as it was recorded, for readers; None of files of before it was."""
    if code is None:
        return "a commit that was not recorded"
    return f"commit {code['commit']}" + (" with uncommitted changes" if code["dirty"] else "")
