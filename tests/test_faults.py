"""Kills, interrupts and rivals: the same command goes on by itself and ends with the same bytes."""

import os
import random
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from paramrel.files import check_writable
from suite.graph import locks
from suite.graph.locks import enter_run, hold, holder, lock_path
from tests.conftest import run
from tests.graphs import (
    SLOW,
    commands_in,
    contents,
    differences,
    kill,
    planned,
    snakemake,
    start,
    wait_for,
    write_preset,
)

COMMAND = ("snakemake", "--cores", "2")
KINDS = ("train", "encode", "evaluate", "table")


@pytest.fixture
def project(checkout: Path) -> Path:
    """A small graph with three trainings that can be slowed down."""
    (checkout / "baselines/toy_slow.py").write_text(SLOW)
    runtime = {"device": "cpu", "checkpoint_every": 1, "log_every": 1}
    return write_preset(checkout, methods=["pca", "toy_slow"], runtime=runtime)


def undisturbed(project: Path) -> dict[str, bytes]:
    """The results of a run that nobody disturbs, in a place of its own."""
    place = project.parent / "undisturbed"
    shutil.copytree(project, place)
    done = snakemake(place)
    assert done.returncode == 0, done.stderr[-3000:]
    return contents(place / "results/tiny")


def training(project: Path) -> list[int]:
    return commands_in(project, "train")


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_ten_kills_and_a_ctrl_c(project):
    expected = undisturbed(project)
    rng = random.Random(7)
    for attempt in range(10):
        workflow = start(project, *COMMAND, TOY_SLEEP="3")
        time.sleep(rng.uniform(1, 12) if attempt % 2 else rng.uniform(8, 14))
        assert workflow.poll() is None, "it ended before it could be killed: make the toy slower"
        if attempt % 3 == 0:  # jobs, which Snakemake sees fail; then itself
            jobs = wait_for(lambda: [pid for name in KINDS for pid in commands_in(project, name)], 60, "a job")
            for pid in jobs:
                kill(pid)
            time.sleep(2)
        if attempt % 3 == 1:  # Snakemake alone: its jobs live on, beside those of the next one
            kill(workflow.pid)
        else:  # all at once
            os.killpg(workflow.pid, signal.SIGKILL)
        workflow.wait(30)

    # Ctrl-C in a terminal reaches the jobs too: trainings save their state
    workflow = start(project, *COMMAND, TOY_SLEEP="3")
    wait_for(lambda: training(project), 120, "a training")
    time.sleep(8)
    os.killpg(workflow.pid, signal.SIGINT)
    assert workflow.wait(60) != 0
    assert "Removed the lock of a Snakemake that was killed" in (project / "out.log").read_text()
    assert not list((project / ".snakemake/locks").glob("*"))

    done = snakemake(project)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert not differences(contents(project / "results/tiny"), expected)
    assert "Nothing to be done" in "".join(snakemake(project).stderr)


@pytest.mark.slow
def test_a_rival_is_turned_away_and_an_orphan_is_waited_for(project):
    write_preset(project, methods=["toy_slow"], per_method={"toy_slow": {"variants": {"a": {}}}})
    first = start(project, *COMMAND, TOY_SLEEP="10")
    wait_for(lambda: training(project), 120, "a training")

    def said() -> str:
        return run("paramrel", "status", cwd=project, PYTHONPATH=str(project)).stdout

    wait_for(lambda: "running train digits_binarized/toy_slow-a" in said(), 60, "the training in the status")
    assert "Snakemake is at work here" in said() and "left" in said()
    second = snakemake(project)
    assert second.returncode != 0 and "lock" in second.stderr.lower(), "a living Snakemake's lock was removed"
    kill(first.pid)  # its training lives on
    first.wait(30)
    third = snakemake(project)
    assert third.returncode == 0, third.stderr[-3000:]
    log = next((project / "logs/train/digits_binarized/toy_slow-a").glob("*.log")).read_text()
    assert "waiting for another process" in log and "meanwhile, in another process" in log
    assert not training(project)


@pytest.mark.slow
def test_a_training_that_ends_after_its_snakemake_was_killed_is_not_made_again(project):
    write_preset(project, methods=["toy_slow"], per_method={"toy_slow": {"variants": {"a": {}}}})
    first = start(project, *COMMAND, TOY_SLEEP="2")
    wait_for(lambda: training(project), 120, "a training")
    kill(first.pid)
    first.wait(30)
    wait_for(lambda: not training(project), 200, "the training's end")
    assert list(project.glob("runs/*/*/*/run.json"))
    jobs = planned(project)
    assert jobs["encode"] == 1 and "train" not in jobs


def test_one_process_per_output(tmp_path):
    output = Path("runs/cell/run.json")
    with hold(tmp_path, output) as waited:
        assert not waited
        owner = holder(lock_path(tmp_path, output))
        assert owner["pid"] == os.getpid() and time.time() - owner["started"] < 60
    assert holder(lock_path(tmp_path, output)) is None
    assert holder(tmp_path / "never.lock") is None


def test_many_may_ask_at_once_whether_a_folder_is_writable(tmp_path):
    """The two evaluations of one cell start together and lock outputs of the same folder."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: check_writable(tmp_path), range(400)))
    assert not list(tmp_path.iterdir())


def test_only_a_dead_snakemakes_locks_are_removed(tmp_path):
    locks = tmp_path / ".snakemake/locks"
    locks.mkdir(parents=True)
    (locks / "0.input.lock").write_text("a file\n")
    (tmp_path / "rival.py").write_text(
        "import sys, time\nfrom pathlib import Path\nfrom suite.graph.locks import enter_run\n"
        "enter_run(Path('state'), Path('nowhere'))\nprint('in', flush=True)\ntime.sleep(60)\n"
    )
    rival = start(tmp_path, "python", "rival.py", PYTHONPATH=str(Path(__file__).parent.parent))
    wait_for(lambda: "in" in (tmp_path / "out.log").read_text(), 60, "the rival's start")
    assert not enter_run(tmp_path / "state", tmp_path / ".snakemake") and list(locks.iterdir())
    kill(rival.pid)
    rival.wait(10)
    # this process still shares the lock of its first call: another one would be needed to be alone
    assert not enter_run(tmp_path / "state", tmp_path / ".snakemake")
    (tmp_path / "alone.py").write_text(
        "from pathlib import Path\nfrom suite.graph.locks import enter_run\nprint(enter_run(Path('other'), "
        "Path('.snakemake')))\n"
    )
    alone = start(tmp_path, "python", "alone.py", PYTHONPATH=str(Path(__file__).parent.parent))
    assert alone.wait(30) == 0 and "True" in (tmp_path / "out.log").read_text() and not list(locks.iterdir())


def test_trainings_of_one_machine_share_its_gpus(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr(locks, "_HELD", [])

    def taken(visible: str = "4,7") -> str:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        locks.take_gpu(tmp_path)
        return os.environ["CUDA_VISIBLE_DEVICES"]

    assert [taken() for _ in range(4)] == ["4", "7", "4", "7"], "each GPU once before any twice"
    locks._HELD.pop(1).close()  # the second training ends
    assert taken() == "7"
    assert taken("3") == "3", "one GPU needs no choice"
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert [taken(), taken()] == ["4", "7"], "the GPUs of a cluster's job are its own"
