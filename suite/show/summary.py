"""What `dvc metrics` and `dvc plots` read: the same numbers as the tables, in the shapes that they want."""

from pathlib import Path

import pandas as pd

from paramrel.files import write_json, write_text
from suite.graph.cells import cells, run_dir
from suite.graph.config import Preset
from suite.measure.runs import read_log

N_POINTS = 50
"""Points per curve."""


def write_summary(preset: Preset, rows: pd.DataFrame, runs: Path, folder: Path) -> None:
    """``folder``/metrics.json: means over seeds; ``folder``/curves.csv: training losses."""
    write_json(folder / "metrics.json", means(rows))
    write_text(folder / "curves.csv", curves(preset, runs).to_csv(index=False, lineterminator="\n"))


def means(rows: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """data set -> method-variant -> metric -> mean over seeds, 6 significant digits; unmeasured ones are left out."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    whole = rows[(rows.fold == "mean") & rows.value.notna()]
    for (data, name, variant, metric), group in whole.groupby(["dataset", "method", "variant", "metric"], sort=True):
        values = found.setdefault(data, {}).setdefault(f"{name}-{variant}", {})
        values[metric] = float(f"{group.value.mean():.6g}")
    return found


def curves(preset: Preset, runs: Path) -> pd.DataFrame:
    """Training loss of every trained cell: columns cell, step, loss; means of ``N_POINTS`` equal stretches."""
    parts = []
    for cell in cells(preset):
        lines = read_log(run_dir(runs, cell))
        if not lines:  # not trained, or of a preset that is tabled in part
            continue
        log = pd.DataFrame(lines)[["step", "loss"]]
        stretch = max(1, -(-len(log) // N_POINTS))
        mean = log.groupby(log.index // stretch).agg(step=("step", "last"), loss=("loss", "mean"))
        parts.append(mean.assign(cell=str(cell))[["cell", "step", "loss"]])
    joined = pd.concat(parts) if parts else pd.DataFrame(columns=["cell", "step", "loss"])
    return joined.assign(loss=[f"{loss:.5g}" for loss in joined.loss])
