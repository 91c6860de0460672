"""The miniature graph of all methods on a real Slurm, while a job is killed, a node dies and a time limit is met.

``make test-slurm`` runs this; it needs Debian's Slurm packages, or root to install them (tests/slurm_cluster.py).
"""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import yaml

from paramrel.method import methods
from suite.graph.locks import holder, lock_path
from tests import slurm_cluster
from tests.conftest import ROOT
from tests.graphs import EVERY_METHOD, SLOW, contents, differences, snakemake, start, wait_for, write_preset

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(4000)]

IMPATIENT = {
    "jobs": 6,
    "latency-wait": 20,
    "slurm-init-seconds-before-status-checks": 3,
    "default-resources": ['slurm_extra="--signal=TERM@20"'],
    "set-resources": {
        "train": {"runtime": "2 * attempt", "mem_mb": 40000},  # one per node: they are all one machine
        **{
            rule: {"mem_mb": 1000} for rule in ("fit", "encode", "explore", "evaluate", "tables", "draw", "report_page")
        },
    },
    "retries": 4,
}
"""Laid over the profile: a cluster on one machine answers at once, and two minutes are a short time limit."""


def slow_training(project: Path, variants: str, step: int) -> tuple[str, str] | None:
    """Which of the slow toy's variants (a letter each) is in training past a step, and Slurm's number of its job."""
    for log in (project / "state/digits_binarized").glob(f"toy_slow-[{variants}]/seed0-*/metrics.jsonl"):
        lines = log.read_text().splitlines()
        cell = log.parent.relative_to(project / "state")
        owner = holder(lock_path(project / "state", Path("runs") / cell / "run.json"))
        if owner and "slurm" in owner and lines and json.loads(lines[-1])["step"] >= step:
            return cell.parts[1].removeprefix("toy_slow-"), owner["slurm"]
    return None


def test_the_graph_survives_a_kill_a_dead_node_and_a_time_limit(cluster, checkout, tmp_path):
    (checkout / "baselines/toy_slow.py").write_text(SLOW)
    write_preset(checkout, **EVERY_METHOD, runtime={"device": "cpu", "checkpoint_every": 2, "log_every": 1})
    local = tmp_path / "local"
    shutil.copytree(checkout, local)
    done = snakemake(local)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = contents(local / "results/tiny")
    assert {path.name.split("-")[0] for path in local.glob("runs/*/*")} == {"toy_slow", *methods()}

    (checkout / "impatient.yaml").write_text(yaml.safe_dump(IMPATIENT))
    steps = tmp_path / "steps"
    steps.mkdir()
    environment = {"TOY_SLEEP": "4", "TOY_STEPS": str(steps)}
    workflow = start(
        checkout, "snakemake", "--profile", "slurm", "--profile", "impatient.yaml", "--verbose", **environment
    )
    try:
        # 1. a job is killed outright: a or b, whichever Slurm comes to first
        first, job = wait_for(lambda: slow_training(checkout, "ab", 3), 600, "a training on Slurm")
        slurm_cluster.slurm("scancel", "--signal=KILL", "--full", job)
        # 2. a node loses its power in mid-job: the other's
        other = "ab".replace(first, "")
        _, job = wait_for(lambda: slow_training(checkout, other, 3), 600, "another training on Slurm")
        node = slurm_cluster.slurm("squeue", "-h", "-j", job, "-o", "%N").strip()
        slurm_cluster.kill_node(node)
        wait_for(
            lambda: "down" in slurm_cluster.slurm("sinfo", "-h", "-n", node, "-o", "%t"), 120, "Slurm noticing the node"
        )
        slurm_cluster.start_node(node)
        # 3. variant c sleeps for two minutes and is told to stop before two minutes are over
        assert workflow.wait(2400) == 0, (checkout / "out.log").read_text()[-5000:]
    finally:
        if workflow.poll() is None:
            os.killpg(workflow.pid, signal.SIGINT)
            workflow.wait(60)
    said = (checkout / "out.log").read_text()
    # weights, codes and metrics first: the earliest that differs says which step is to blame
    assert not differences(contents(checkout / "runs"), contents(local / "runs"))
    assert not differences(contents(checkout / "results/tiny"), expected)
    assert len(re.findall(r"has been submitted with SLURM jobid", said)) > 5
    failed = set(re.findall(r"SLURM-job '(\d+)' failed, SLURM status is", said))
    # Slurm itself starts the job of the dead node again
    assert len(failed) >= 2, f"the kill and the time limit must be noticed, not only {failed}"

    # trainings went on from their checkpoints (every second step, and at SIGTERM): they did not start anew
    for pause in ("1.0", "1.1", "2.5"):
        made = len((steps / pause).read_text())
        assert 12 <= made <= 15, f"{made} steps were made for 12 of the toy with pause {pause}"

    # a retry asks for more time
    assert {"2", "4"} <= set(re.findall(r"sbatch call: .*? -t '?(\d+)", said))

    # 4. nothing left to do
    again = snakemake(checkout, "--profile", "slurm")
    assert "Nothing to be done" in again.stdout + again.stderr


def documented() -> str:
    """my-cluster.yaml, as docs/pipeline.md prints it."""
    (block,) = re.findall(r"```yaml\n(# my-cluster.yaml.*?)```", (ROOT / "docs/pipeline.md").read_text(), re.DOTALL)
    return block


def test_the_documented_cluster_file_works(cluster, checkout):
    few = {
        "methods": ["pca", "ae"],
        "runtime": {"device": "cpu", "checkpoint_every": 5, "log_every": 5},
    }
    write_preset(checkout, **few)
    (checkout / "my-cluster.yaml").write_text(documented())
    profiles = ("--profile", "slurm", "--profile", "my-cluster.yaml", "--slurm-init-seconds-before-status-checks", "3")

    # 1. what Slurm would refuse is said before the first job, in a line that names it
    for wrong, said in (("slurm_partition=nowhere", "partition"), ("slurm_account=strangers", "strangers")):
        refused = snakemake(checkout, *profiles, "--default-resources", wrong, timeout=300)
        assert refused.returncode and re.search(rf"error: .*{wrong}.*{said}", refused.stdout + refused.stderr)
        assert "has been submitted" not in refused.stdout + refused.stderr

    # 2. the whole graph, of CPU jobs and GPU jobs; those of a group run one after the other, and ask for as much
    done = snakemake(checkout, *profiles, "--verbose")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-5000:]
    assert (checkout / "results/tiny/table2.csv").exists()
    calls = re.findall(r"sbatch call: (.*?) --wrap", said)
    of = {
        name: [call for call in calls if f"_{name}" in call] for name in ("train", "encode", "measure", "fit", "tables")
    }
    assert all(of.values())
    assert all(
        ("-p gpu" in call) == ("gres=gpu:1" in call) == (name in ("train", "encode"))
        for name in of
        for call in of[name]
    )
    assert all("-p cpu" in call for name in ("fit", "measure", "tables") for call in of[name])
    assert "-t 360" in of["encode"][-1] and "--cpus-per-task=1" in of["encode"][-1] and "--mem 3000" in of["encode"][-1]
