"""The committed results of the quick preset, made again under DVC from a clean copy: the same bytes on the same kind of
machine."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from suite.results import NOT_REPEATABLE
from suite.rows import read_rows
from tests.conftest import ROOT, run

TOLERANCE = {"auroc": 0.01, "accuracy": 0.04, "agreement": 0.1}
"""Largest differences that another processor's rounding may make in one seed (README: measured, AVX2 and AVX-512)."""
KIND = ["processor", "capability", "device", "threads", "torch", "numpy", "scikit-learn"]


def machine(folder: Path) -> set[tuple[str, ...]]:
    """What must agree for results to be the same bytes."""
    runs = pd.read_csv(folder / "runs.csv", dtype=str)
    return set(runs[KIND].itertuples(index=False, name=None))


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_quick_preset_is_made_again(checkout):
    committed, remade = ROOT / "results/quick", checkout / "results/quick"
    assert run("git", "init", "-q", cwd=checkout).returncode == 0  # DVC wants a repository
    done = run("dvc", "repro", cwd=checkout, timeout=2900, PYTHONPATH=str(checkout), DVC_NO_ANALYTICS="1")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (checkout / "runs/digits_binarized").is_dir(), "it must really train"
    if machine(remade) == machine(committed):
        for path in sorted(committed.rglob("*")):
            if path.is_file() and path.name not in NOT_REPEATABLE:
                assert path.read_bytes() == (remade / path.relative_to(committed)).read_bytes(), path
    both = read_rows(committed / "rows.csv").merge(
        read_rows(remade / "rows.csv"),
        on=["dataset", "method", "variant", "seed", "metric", "fold"],
        suffixes=("", "_remade"),
    )
    assert len(both) == len(read_rows(committed / "rows.csv"))
    for metric, tolerance in TOLERANCE.items():
        rows = both[(both.metric == metric) & (both.fold == "mean") & both.value.notna()]
        assert np.abs(rows.value - rows.value_remade).max() <= tolerance, metric
