"""Which code and which environment run: the commit of the checkout, the hash of the lock. No torch."""

import os
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from suite.graph.hashing import file_sha256

ROOT = Path(__file__).resolve().parent.parent.parent


def code() -> dict[str, Any]:
    """Commit of the code and whether it has uncommitted changes outside results/. Without a git checkout of this
    project: nulls, and the version that is installed."""
    try:
        if Path(_git("rev-parse", "--show-toplevel")).resolve() != ROOT:
            return _installed(f"{ROOT} is no git checkout of this project")
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", ".", ":!results", ":!dvc.lock")
    except FileNotFoundError:
        return _installed("git is not installed")
    except subprocess.CalledProcessError as error:
        return _installed(_why(error.stderr))
    return {"commit": commit, "dirty": bool(changed)}


@cache
def _installed(why: str) -> dict[str, Any]:
    """What is known without git; says once why that is all."""
    print(f"note: no commit is recorded with what is made here: {why}", file=sys.stderr)
    try:
        return {"commit": None, "dirty": None, "version": version("paramrel-benchmark")}
    except PackageNotFoundError:
        return {"commit": None, "dirty": None}


def _why(said: str) -> str:
    """What git answered, with the way out where another user owns the checkout."""
    if "safe.directory" in said:
        return f"another user owns the checkout: git config --global --add safe.directory {ROOT}"
    return said.strip().splitlines()[0] if said.strip() else "git failed"


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, errors="replace", env=_environment()
    )
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    """Without what a hook says of its own repository; answers in English."""
    return {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | {"LC_ALL": "C"}


def lock_hash() -> str | None:
    """sha256 of uv.lock: which environment."""
    lock = ROOT / "uv.lock"
    return file_sha256(lock) if lock.exists() else None


def in_words(recorded: dict[str, Any] | None) -> str:
    """What ``code()`` gave when a file was made, for readers; None where the file is older than the record."""
    if recorded is None:
        return "a commit that was not recorded"
    if recorded["commit"] is None:
        return " ".join(
            ["code outside of a git checkout", *([f"(version {recorded['version']})"] if "version" in recorded else [])]
        )
    return f"commit {recorded['commit']}" + (" with uncommitted changes" if recorded["dirty"] else "")
