"""Which code and which environment run: the commit of the checkout, the hash of the lock. No torch."""

import subprocess
from pathlib import Path
from typing import Any

from suite.graph.hashing import file_sha256

ROOT = Path(__file__).resolve().parent.parent.parent


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


def in_words(recorded: dict[str, Any] | None) -> str:
    """What ``code()`` gave when a file was made, for readers; None where the file is older than the record."""
    if recorded is None:
        return "a commit that was not recorded"
    if recorded["commit"] is None:
        return "code outside of a git checkout"
    return f"commit {recorded['commit']}" + (" with uncommitted changes" if recorded["dirty"] else "")
