"""The committed results of the quick preset, made again from a clean copy: the same bytes on the same kind of machine.

By ``make quickstart`` (without a network), under DVC, and on a real Slurm: ``make test-long``.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from suite.graph.kernels import CORETYPE
from suite.measure.rows import read_rows
from tests.conftest import ROOT, run
from tests.graphs import OFFLINE, contents, differences

TOLERANCE = {"auroc": 0.01, "accuracy": 0.04, "agreement": 0.1}
"""Largest differences that another processor's rounding may make in one seed (README: measured, AVX2 and AVX-512)."""
KIND = ["processor", "capability", "blas", "device", "threads", "torch", "numpy", "scikit-learn"]
ONE_MACHINE = {
    "slurm-init-seconds-before-status-checks": 3,
    "latency-wait": 20,
    "set-resources": {rule: {"mem_mb": 1500} for rule in ("fit", "encode", "explore", "evaluate", "control")},
}
"""Laid over the profile: a cluster on one machine answers at once, and its nodes have 4 GB for two jobs of a group."""


def machine(folder: Path) -> set[tuple[str, ...]]:
    """What must agree for results to be the same bytes."""
    runs = pd.read_csv(folder / "runs.csv", dtype=str)
    return set(runs[KIND].itertuples(index=False, name=None))


def make(checkout: Path) -> tuple[str, ...]:
    """The command of the README, with this environment, in which Python has no network."""
    if not (Path(sys.prefix) / ".ready").exists():
        pytest.skip("this environment is not the Makefile's (make setup)")
    (checkout / ".venv").symlink_to(sys.prefix)
    (checkout / "sitecustomize.py").write_text(OFFLINE)
    return "make", "quickstart", "CORES=2"


def dvc(checkout: Path) -> tuple[str, ...]:
    assert run("git", "init", "-q", cwd=checkout).returncode == 0  # DVC wants a repository
    return "dvc", "repro"


def slurm(checkout: Path) -> tuple[str, ...]:
    (checkout / "one-machine.yaml").write_text(yaml.safe_dump(ONE_MACHINE))
    return "snakemake", "--profile", "slurm", "--profile", "one-machine.yaml"


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", [dvc, make, slurm])
def test_the_quick_preset_is_made_again(checkout, tmp_path, way, request, monkeypatch):
    monkeypatch.delenv(CORETYPE, raising=False)  # as most users have it
    if way is slurm:
        request.getfixturevalue("cluster")
    committed, remade, attempts = ROOT / "results/quick", checkout / "results/quick", tmp_path / "attempts"
    done = run(
        *way(checkout),
        cwd=checkout,
        timeout=3500,
        PYTHONPATH=str(checkout),
        ATTEMPTS=str(attempts),
        DVC_NO_ANALYTICS="1",
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert not attempts.exists(), f"something asked for the network: {attempts.read_text()}"
    assert (checkout / "runs/digits_binarized").is_dir(), "it must really train"
    if machine(remade) == machine(committed):
        assert not differences(contents(remade), contents(committed))
    both = read_rows(committed / "rows.csv").merge(
        read_rows(remade / "rows.csv"),
        on=["dataset", "method", "variant", "seed", "metric", "fold"],
        suffixes=("", "_remade"),
    )
    assert len(both) == len(read_rows(committed / "rows.csv"))
    for metric, tolerance in TOLERANCE.items():
        rows = both[(both.metric == metric) & (both.fold == "mean") & both.value.notna()]
        assert np.abs(rows.value - rows.value_remade).max() <= tolerance, metric
