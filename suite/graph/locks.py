"""One process per output: locks that the system releases when their owner dies, whatever it dies of.

``filelock``, which guards prepared data (``paramrel/data/_prepared.py``), does not do what is done here. Its lock of
the system's is exclusive only (the shared one is a SQLite file), and does not tell who holds it. Where a file system
has no locks it writes a file in place of one, which stays when a process of another machine is killed; here a warning
is printed.
"""

import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from paramrel.errors import UserError
from paramrel.files import check_writable


def lock_path(state: Path, output: Path) -> Path:
    """Where the lock of an output lies: outside of what is declared, recorded or removed."""
    return state / "locks" / f"{str(output).strip('/')}.lock"


@contextmanager
def hold(state: Path, output: Path) -> Iterator[bool]:
    """Be the only process that makes ``output``; yields True if another one had to be waited for.

    Two Snakemakes, or one beside what a killed one left running, then make a file one after the other. Works between
    the nodes of a cluster where the shared file system has locks; where it has none, a warning says so.
    """
    path = lock_path(state, output)
    check_writable(path.parent)
    with _opened(path) as file:
        waited = _acquire(file, path)
        _say(file, json.dumps(_owner()))
        try:
            yield waited
        finally:
            _say(file, "")


def _opened(path: Path) -> Any:
    """The file of a lock, unbuffered. Raises ``UserError`` where it cannot be made."""
    try:
        return path.open("ab+", buffering=0)
    except OSError as error:
        raise UserError(
            f"cannot lock {path}: {error.strerror or error}: make its folder writable, with free space"
        ) from error


def _say(file: Any, owner: str) -> None:
    """Who holds a lock, for ``holder``. On a full disk it stays unsaid: the lock itself is the system's."""
    with suppress(OSError):
        file.truncate(0)
        file.write(owner.encode())


def _acquire(file: Any, path: Path) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        print(f"waiting for another process that works on this ({holder(path) or path})", file=sys.stderr, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
        return True
    except OSError as error:
        print(f"warning: no locks on this file system ({error}): run one Snakemake at a time", file=sys.stderr)
        return False


def _owner() -> dict[str, Any]:
    job = os.environ.get("SLURM_JOB_ID")
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": time.time()} | ({"slurm": job} if job else {})


def holder(path: Path, exclusive: bool = False) -> dict[str, Any] | None:
    """Who holds a lock: host, pid, started (seconds since 1970) and Slurm's job number; None if nobody does.

    ``exclusive``: a shared lock counts too.
    """
    try:
        with path.open("r+") as file:
            try:
                fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                return json.loads(file.read() or "{}")
    except (OSError, ValueError):
        return None


_HELD: list[Any] = []
"""Files whose locks are held until this process ends."""


def enter_run(state: Path, snakemake: Path) -> bool:
    """Called by every main Snakemake; removes what a killed one left locked. Returns True if it did.

    A Snakemake that dies by SIGKILL leaves ``.snakemake/locks``, which then stop every later one. All of them share a
    lock of the system's for as long as they live; who gets it alone knows that every lock file is a dead one's.
    """
    path = lock_path(state, Path("snakemake"))
    check_writable(path.parent)
    file = path.open("a+")
    _HELD.append(file)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        stale = sorted((snakemake / "locks").glob("*.lock"))
        for lock in stale:
            lock.unlink(missing_ok=True)
    except BlockingIOError:
        stale = []  # another one lives: its locks stand
    except OSError:
        return False  # no locks on this file system: `snakemake --unlock` is the user's
    fcntl.flock(file, fcntl.LOCK_SH)
    return bool(stale)


def running(state: Path) -> bool:
    """Whether a main Snakemake is at work here."""
    return holder(lock_path(state, Path("snakemake")), exclusive=True) is not None


def busy(state: Path, run: Path) -> bool:
    """Whether a process works on any file of a cell's folder."""
    return any(holder(lock) for lock in lock_path(state, run).with_suffix("").rglob("*.lock"))


SHARES = 64
"""Most jobs that are spread over GPUs before CUDA chooses."""


def take_gpu(state: Path) -> None:
    """Choose the GPU that the fewest jobs have taken, by CUDA_VISIBLE_DEVICES; before CUDA is first used.

    Does nothing where there is one GPU or none. On a cluster the GPUs are those of this job, whose numbers mean nothing
    to others.
    """
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible else [str(index) for index in range(torch.cuda.device_count())]
    if len(gpus) < 2:
        return
    place = (
        f"{socket.gethostname()}-{os.environ['SLURM_JOB_ID']}" if "SLURM_JOB_ID" in os.environ else socket.gethostname()
    )
    for share in range(SHARES):
        for gpu in gpus:
            if _take(lock_path(state, Path(place) / f"gpu-{gpu}-{share}")):
                os.environ["CUDA_VISIBLE_DEVICES"] = gpu
                return


def _take(path: Path) -> bool:
    """Lock a file until this process ends, if nobody has."""
    check_writable(path.parent)
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return False
    _HELD.append(file)
    return True
