"""What is not there, and why: cells that failed, methods that do not run on a data set, numbers that nothing can be."""

from pathlib import Path

import pandas as pd

from metrics import metrics
from paramrel.data import dataset
from suite.graph.cells import Cell
from suite.graph.plan import Plan
from suite.graph.status import STAGES, Job, jobs
from suite.show.tables import label


def missing_cells(
    wanted: list[Cell], rows: pd.DataFrame, config: Path, preset: str, runs: Path, state: Path
) -> list[dict[str, str]]:
    """Cells of the preset without any value, with how far they came and the last line of the log if a stage failed."""
    there = set(rows[rows.fold.eq("mean") & rows.value.notna()].cell)
    absent = {cell.path: cell for cell in wanted if cell.hash not in there}
    if not absent:
        return []
    plan = Plan.read({"params": str(config), "preset": preset}, runs=str(runs), state=str(state))
    found = []
    for path, cell in absent.items():
        stages = [job for job in jobs(plan) if job.cell.path == path and job.state != "done"]
        first = min(stages, key=lambda job: STAGES.index(job.stage), default=None)
        why = "measured, but not in rows.csv: run paramrel table" if first is None else _why(first)
        row = {
            "data set": dataset(cell.dataset).title,
            "method": label(cell.method, cell.variant),
            "seed": str(cell.seed),
        }
        found.append(row | {"why": why})
    return found


def _why(job: Job) -> str:
    if job.state == "failed":
        return f"{job.stage} failed: {job.note} (log: {job.log})"
    return f"{job.stage} is running" if job.state == "running" else f"{job.stage} was not run"


def dashes(rows: pd.DataFrame) -> pd.DataFrame:
    """Data set, method, reason, metrics: every metric without a value."""
    empty = rows[rows.fold.eq("mean") & rows.value.isna()]
    lines: dict[tuple[str, str, str], list[str]] = {}
    for row in empty.itertuples():
        title = metrics()[row.metric].title if row.metric in metrics() else row.metric
        found = lines.setdefault((dataset(row.dataset).title, label(row.method, row.variant), row.note), [])
        found += [] if title in found else [title]
    return pd.DataFrame(
        [(*key, ", ".join(titles)) for key, titles in lines.items()],
        columns=["data set", "method", "reason", "metrics"],
    )
