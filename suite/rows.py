"""The long table: one row per number, deterministic; and the runs behind it, which are not."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from paramrel.errors import UserError
from paramrel.files import write_text
from suite.cells import Cell, cells, controls, run_dir
from suite.config import Preset
from suite.names import control_name, metrics_name

ROW_COLUMNS = (
    "dataset", "data_sha256", "method", "variant", "seed", "cell", "metric", "metric_version", "fold", "value", "n",
    "chance", "direction", "unit", "note",
)  # fmt: skip
"""rows.csv. ``cell`` is the hash of the resolved configuration, the key into runs.csv. ``fold`` is "mean" for the
value itself, "shuffled" for the value on shuffled labels, once per data set. ``value`` is empty where nothing could be measured; ``note`` says why."""


def collect(preset: Preset, runs: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(rows, runs) of every cell of a preset. Raises ``UserError`` naming the first cell that is not evaluated."""
    rows, provenance = [], []
    for cell in cells(preset):
        run = run_dir(runs, cell)
        record = _read(run / "run.json", cell)
        provenance.append(_flat_run(cell, record))
        evaluated = _read(run / metrics_name(preset.evaluate), cell)
        for row in evaluated["rows"]:
            rows += _expand(cell, record, row)
    for cell in controls(preset):
        record = _read(run_dir(runs, cell) / "run.json", cell)
        evaluated = _read(run_dir(runs, cell) / control_name(preset.evaluate), cell)
        rows += [_expand(cell, record, row)[0] | {"fold": "shuffled"} for row in evaluated["rows"]]
    return pd.DataFrame(rows, columns=list(ROW_COLUMNS)), pd.DataFrame(provenance)


def _expand(cell: Cell, record: dict[str, Any], row: dict[str, Any]) -> list[dict[str, Any]]:
    """A metric's row, then one for each of its folds."""
    common = {
        "dataset": cell.dataset,
        "data_sha256": record["data_sha256"][:12],
        "method": cell.method,
        "variant": cell.variant,
        "seed": cell.seed,
        "cell": cell.hash,
        **{key: row[key] for key in ("metric", "metric_version", "direction", "unit", "n")},
    }
    whole = common | {"fold": "mean", "value": row["value"], "chance": row["chance"], "note": row["note"]}
    return [whole] + [common | {"fold": str(i), "value": value, "note": ""} for i, value in enumerate(row["folds"])]


def _flat_run(cell: Cell, record: dict[str, Any]) -> dict[str, Any]:
    """One line of runs.csv."""
    return {
        "dataset": cell.dataset,
        "method": cell.method,
        "variant": cell.variant,
        "seed": cell.seed,
        "cell": cell.hash,
        "parameters": record["parameters"],
        "seconds": record["seconds"],
        "peak_memory_mib": record["peak_memory_mib"],
        "commit": record["code"]["commit"],
        "dirty": record["code"]["dirty"],
        "lock_sha256": (record["lock_sha256"] or "")[:12],
        **{key: record["machine"][key] for key in ("processor", "capability", "threads", "device")},
        **{key: record["libraries"][key] for key in ("python", "torch", "numpy", "scikit-learn")},
    }


def _read(path: Path, cell: Cell) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{cell} is not evaluated ({path} is missing): run snakemake, or the steps by hand") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run snakemake again") from error


def write_rows(rows: pd.DataFrame, path: Path) -> None:
    """Write rows.csv, values with 6 significant digits."""
    shown = rows.copy()
    for column in ("value", "chance"):
        shown[column] = [None if pd.isna(value) else f"{value:.6g}" for value in shown[column]]
    write_text(path, shown.to_csv(index=False, lineterminator="\n"))


def read_rows(path: Path) -> pd.DataFrame:
    """Read rows.csv. Raises ``UserError`` where it is missing or has other columns."""
    if not path.exists():
        raise UserError(f"{path} is missing: run snakemake to make it")
    rows = pd.read_csv(path, dtype={"fold": str, "cell": str, "data_sha256": str}, keep_default_na=False, na_values={"value": [""], "chance": [""]})  # fmt: skip
    if tuple(rows.columns) != ROW_COLUMNS:
        raise UserError(f"{path} has the columns {', '.join(rows.columns)}; expected {', '.join(ROW_COLUMNS)}")
    return rows


def read_runs(path: Path) -> pd.DataFrame:
    """Read runs.csv, everything as text. Raises ``UserError`` where it is missing."""
    if not path.exists():
        raise UserError(f"{path} is missing: run snakemake to make it")
    return pd.read_csv(path, dtype=str, keep_default_na=False)
