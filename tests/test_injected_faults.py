"""Errors of the system at every call that writes: one line, and the same bytes once the cause is gone."""

import errno
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from paramrel.data import dataset
from paramrel.errors import UserError
from paramrel.files import sweep
from paramrel.method import method
from paramrel.settings import Runtime, Train
from paramrel.training import train
from suite.graph.cells import cells
from suite.graph.chain import TRAINED
from suite.measure import provenance
from suite.measure.provenance import write_run
from suite.measure.rows import collect, write_rows
from suite.measure.runs import write_runs
from tests.conftest import TINY_NETWORK
from tests.test_chain import PRESET, make

CALLS = {
    "fsync": (os, "fsync"),
    "rename": (Path, "replace"),
    "unlink": (Path, "unlink"),
    "write": (Path, "write_bytes"),
}
"""Calls of the system that fail."""
ERRORS = {
    "EIO": lambda: OSError(errno.EIO, "Input/output error"),
    "ENOSPC": lambda: OSError(errno.ENOSPC, "No space left on device"),
}
N_CASES = 60


class Killed(BaseException):
    """Stands for SIGKILL: no handler of errors sees it."""


ERRORS["SIGKILL"] = Killed


@contextmanager
def failing(call: str, number: int, error: Callable[[], BaseException]) -> Iterator[None]:
    """Let the ``number``-th call (from 0) of one kind raise; a killed process also makes no later one."""
    owner, name = CALLS[call]
    honest, count = getattr(owner, name), [0]

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        if count[0] == number + 1 or (error is Killed and count[0] > number):
            raise error()
        return honest(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(owner, name, wrapped)
        yield


def training(here: Path) -> None:
    """A training with three checkpoints, as ``paramrel train`` does it."""
    cls, digits, state, run = method("ae"), dataset("digits_binarized"), here / "state", here / "run"
    if (run / "run.json").exists():
        return
    sweep(run, *TRAINED)
    sweep(state)
    provenance.begin(state)
    settings, runtime = Train(steps=7, batch_size=8), Runtime(device="cpu", checkpoint_every=3, log_every=2)
    train(cls(digits, TINY_NETWORK, cls.Config()), digits, 0, settings, runtime, run, state, "a cell")
    write_run(run, cells(PRESET)[0], runtime, "0" * 64, 1.0, provenance.trained_by(state))


def tables(here: Path) -> None:
    """Two cells' files, and the rows and runs of them."""
    for cell in cells(PRESET):
        run = here / "runs" / cell.path
        if not list(run.glob("explorer-*")):
            sweep(run)
            sweep(here / "state" / cell.path)
            make(run, cell)
    sweep(here / "results")
    rows, runs = collect(PRESET, here / "runs")
    write_rows(rows, here / "results/rows.csv")
    write_runs(runs, here / "results/runs.csv")


def made(here: Path) -> dict[str, bytes]:
    """What must be the same: not what holds seconds, memory, or what the training went on from."""
    return {
        str(path.relative_to(here)): path.read_bytes()
        for path in sorted(here.rglob("*"))
        if path.is_file() and "state" not in path.parts and path.name not in ("run.json", "runs.csv")
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, dict[str, bytes]]:
    """What each work makes that nothing disturbs."""
    found = {}
    for work in (training, tables):
        folder = tmp_path_factory.mktemp(work.__name__)
        work(folder)
        found[work.__name__] = made(folder)
    return found


def one_fault(here: Path, undisturbed: dict[str, dict[str, bytes]], case: int) -> None:
    rng = random.Random(case)
    work, call, error = rng.choice((training, tables)), rng.choice(list(CALLS)), rng.choice(list(ERRORS))
    number = rng.randrange(12 if work is training else 40)
    with failing(call, number, ERRORS[error]):
        try:
            work(here)
        except UserError as said:
            assert "\n" not in str(said)
        except Killed:
            pass
    work(here)
    assert made(here) == undisturbed[work.__name__], f"{work.__name__}: {error} at {call} {number}"
    left = [path for path in here.rglob(".*") if path.is_file()]
    assert not left, f"{work.__name__}: {error} at {call} {number} left {left}"


@pytest.mark.parametrize("case", range(0, N_CASES, 10))
def test_a_fault_is_one_line_and_then_the_same_bytes(tmp_path, undisturbed, case):
    one_fault(tmp_path, undisturbed, case)


@pytest.mark.long
@pytest.mark.parametrize("case", range(N_CASES, N_CASES + 300))
def test_three_hundred_faults_are_one_line_and_then_the_same_bytes(tmp_path, undisturbed, case):
    one_fault(tmp_path, undisturbed, case)
