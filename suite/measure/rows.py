"""The long table: one row per number, deterministic; and the runs behind it, which are not."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field, FiniteFloat, model_validator

from metrics import METRICS
from paramrel.data import DATASETS
from paramrel.errors import UserError
from paramrel.files import read_record, write_text
from paramrel.method import METHODS
from paramrel.registry import Registry
from paramrel.settings import Frozen
from suite.graph.cells import Cell, cells, controls, run_dir, skipped
from suite.graph.chain import TRAINED, check_codes
from suite.graph.chain import check as check_files
from suite.graph.config import Preset
from suite.graph.names import codes_name, control_name, metric_names, metrics_name, timing_name
from suite.measure.checked_csv import check, read_csv
from suite.measure.runs import RUN_COLUMNS, run_line


class Row(Frozen):
    """One row of rows.csv. Checked when it is written and when it is read; the order of fields is that of columns."""

    dataset: str
    """Registered name."""
    data_sha256: Annotated[str, Field(pattern="^([0-9a-f]{12})?$")]
    """Start of the fingerprint of both splits; empty where no run stands behind the row."""
    method: str
    """Registered name."""
    variant: Annotated[str, Field(min_length=1)]
    """A key of the method's variants, or of the preset's; "default" for a method that skips the data set."""
    seed: Annotated[int, Field(ge=0)]
    cell: Annotated[str, Field(pattern="^([0-9a-f]{10})?$")]
    """Hash of the resolved configuration, the key into runs.csv; empty for a method that skips the data set."""
    metric: str
    """Registered name."""
    metric_version: Annotated[int, Field(ge=1)]
    fold: Annotated[str, Field(pattern="^(mean|shuffled|[0-9]+)$")]
    """mean: the value itself. 0, 1, ...: of one fold. shuffled: on shuffled labels, once per data set."""
    value: FiniteFloat | None
    """Within the metric's range. Empty where nothing could be measured; ``note`` then says why."""
    n: Annotated[int, Field(ge=0)]
    """Items that the value is over."""
    chance: FiniteFloat | None
    """What codes without information score, where that has a meaning."""
    direction: Literal["higher", "lower", "none"]
    """Which way is better, as the metric declares it."""
    unit: str
    note: str

    @model_validator(mode="after")
    def _sound(self) -> "Row":
        known: dict[str, Registry[Any]] = {"dataset": DATASETS, "method": METHODS, "metric": METRICS}
        for column, registry in known.items():
            try:
                registry.get(getattr(self, column))
            except UserError as error:
                raise ValueError(f"column {column}: {error}") from error
        declared = METRICS.get(self.metric)
        if self.direction != declared.direction:
            raise ValueError(f"column direction: {self.metric} is {declared.direction!r}, not {self.direction!r}")
        low, high = declared.range
        if self.value is not None and not low - ROUNDING <= self.value <= high + ROUNDING:
            raise ValueError(f"column value: {self.value:g} is outside of {self.metric}'s range [{low:g}, {high:g}]")
        if self.value is None and not self.note:
            raise ValueError("column note: a row without value must say why")
        return self


ROUNDING = 1e-6
"""By how much a value with 6 significant digits may leave its range."""

ROW_COLUMNS = tuple(Row.model_fields)
"""Columns of rows.csv."""

KEY = ("dataset", "method", "variant", "seed", "metric", "fold")
"""What no two rows share."""


def collect(preset: Preset, runs: Path, partial: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(rows, runs) of every cell of a preset.

    Methods that skip a data set get rows without value, with the reason. So do cells that are not evaluated (failed, or
    not run yet) if ``partial``; otherwise they raise ``UserError`` naming the first one. So do, always, files of a cell
    that were not made from each other, and cells of one data set that saw other data.
    """
    rows: list[dict[str, Any]] = []
    provenance: list[dict[str, Any]] = []
    data_of: dict[str, tuple[str, Cell]] = {}
    for cell in cells(preset):
        run = run_dir(runs, cell)
        reason = _unfinished(run, preset) if partial else None
        if (run / "run.json").exists() or not partial:
            check_files(
                run, *TRAINED, timing_name(preset.evaluate), codes_name(preset.evaluate), metrics_name(preset.evaluate)
            )
            others = (run / timing_name(preset.evaluate), run / metrics_name(preset.evaluate))
            timing, measured = (_read(path, cell) if path.exists() else {} for path in others)
            record = _read(run / "run.json", cell)
            first = data_of.setdefault(cell.dataset, (record["data_sha256"], cell))
            if first[0] != record["data_sha256"]:
                raise UserError(
                    f"{first[1]} and {cell} are of different data: remove one's folder in {runs} and run it again"
                )
            provenance.append(run_line(cell, record, timing, measured))
        if reason is not None:
            rows += _nothing(preset, cell.dataset, cell.method, cell.variant, cell.seed, cell.hash, reason)
            continue
        evaluated = measured or _read(run / metrics_name(preset.evaluate), cell)  # which says that it is missing
        for row in evaluated["rows"]:
            rows += _expand(cell, record, row)
    for data, name, reason in skipped(preset):
        rows += _nothing(preset, data, name, "default", preset.seeds[0], "", reason)
    for cell in controls(preset):
        control = run_dir(runs, cell) / control_name(preset.evaluate)
        if partial and not control.exists():
            continue
        check_codes(control.with_name(codes_name(preset.evaluate)), control.name)
        record = _read(run_dir(runs, cell) / "run.json", cell)
        rows += [_expand(cell, record, row)[0] | {"fold": "shuffled"} for row in _read(control, cell)["rows"]]
    return pd.DataFrame(rows, columns=list(ROW_COLUMNS)), pd.DataFrame(
        provenance, columns=list(RUN_COLUMNS), dtype=object
    )


def _unfinished(run: Path, preset: Preset) -> str | None:
    """Which step of a cell is missing, or None."""
    steps = {
        "trained": "run.json",
        "encoded": codes_name(preset.evaluate),
        "evaluated": metrics_name(preset.evaluate),
    }
    if (run / steps["evaluated"]).exists() and (run / "run.json").exists():
        return None
    missing = next(step for step, name in steps.items() if not (run / name).exists())
    return f"not {missing}: failed, or not run yet (paramrel status says which)"


def _nothing(
    preset: Preset, data: str, name: str, variant: str, seed: int, cell: str, reason: str
) -> list[dict[str, Any]]:
    """Rows that say why there is no value, one for each metric of the preset."""
    common = {"dataset": data, "data_sha256": "", "method": name, "variant": variant, "seed": seed, "cell": cell}
    return [
        common
        | {
            "metric": measure,
            "metric_version": METRICS.members[measure].version,
            "fold": "mean",
            "value": None,
            "n": 0,
            "chance": None,
            "direction": METRICS.members[measure].direction,
            "unit": METRICS.members[measure].unit,
            "note": reason,
        }
        for measure in metric_names(preset.evaluate)
    ]


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


NEEDED = {
    "run.json": (
        "resolved",
        "data_sha256",
        "parameters",
        "seconds",
        "peak_memory_mib",
        "code",
        "lock_sha256",
        "machine",
        "libraries",
    ),
    "metrics": ("rows", "input_sha256"),
    "control": ("rows", "input_sha256"),
}
"""What is read of each kind of record."""


def _read(path: Path, cell: Cell) -> dict[str, Any]:
    try:
        return read_record(path, *NEEDED.get(path.name.partition("-")[0], ()))
    except FileNotFoundError as error:
        raise UserError(
            f"{cell} is not evaluated ({path} is missing): run snakemake, or the steps by hand; paramrel table "
            "--partial makes tables of what is there"
        ) from error


def write_rows(rows: pd.DataFrame, path: Path) -> None:
    """Write rows.csv, values with 6 significant digits. Raises ``UserError`` for a row that is not as ``Row`` says."""
    shown = rows.copy()
    for column in ("value", "chance"):
        shown[column] = [None if pd.isna(value) else f"{value:.6g}" for value in shown[column]]
    shown = shown.astype(object).where(shown.notna(), "")
    check_rows(shown, str(path))
    write_text(path, shown.to_csv(index=False, lineterminator="\n"))


def read_rows(path: Path) -> pd.DataFrame:
    """Read rows.csv; row i stands on line i + 2. Raises ``UserError`` where it is missing, or naming what is wrong."""
    rows = read_csv(path)
    check_rows(rows, str(path))
    for column in ("value", "chance"):
        rows[column] = pd.to_numeric(rows[column], errors="coerce").astype(float)
    return rows.astype({"seed": int, "metric_version": int, "n": int})


def check_rows(rows: pd.DataFrame, origin: str) -> None:
    """Raises ``UserError`` for other columns, for two rows of one key, and for a value that ``Row`` does not allow,
    naming line and column."""
    check(rows, origin, Row, KEY, ("value", "chance"))
