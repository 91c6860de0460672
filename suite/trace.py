"""From a number in a table back to what made it, each step checked: the table, its rows, files, runs."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from metrics import metrics
from paramrel.data import dataset
from paramrel.errors import UserError, unknown
from suite.rows import read_rows
from suite.tables import arrow, label, method_rows


def trace(table: Path, row: str, column: str, runs: Path) -> str:
    """The chain behind one cell of ``table`` (a .csv beside its rows.csv and runs.csv), as text.

    ``row`` is a row's label (or method-variant), ``column`` a heading or a part of one that no other heading has.
    Raises ``UserError`` for a cell that is not there, or that no run stands behind.
    """
    if not table.exists():
        known = sorted(path.stem for path in table.parent.glob("*.csv"))
        raise UserError(f"{table} does not exist: tables there: {', '.join(known) or 'none; run snakemake'}")
    shown = pd.read_csv(table, dtype=str, keep_default_na=False)
    heading = _column(shown, column)
    rows = read_rows(table.parent / "rows.csv")
    key = _method(rows, row)
    line = _line(shown, label(*key))
    data, name = _metric(rows, heading, shown.loc[line].get("data set"))
    mine = rows[(rows.dataset == data) & (rows.method == key[0]) & (rows.variant == key[1]) & (rows.metric == name)]
    mine = mine[mine.fold == "mean"]
    if mine.empty:
        raise UserError(f"no run stands behind {row!r}, {heading!r}: {table.parent}/rows.csv has no such row")
    lines = [
        f"{table}: {label(*key)}, {heading} = {shown.loc[line, heading]}",
        f"  mean over {len(mine)} seed(s) of {name} version {mine.metric_version.iloc[0]}, data set {data}",
    ]
    recorded = pd.read_csv(table.parent / "runs.csv", dtype=str, keep_default_na=False).set_index("cell")
    for _, found in mine.iterrows():
        lines += _run(found, recorded, runs)
    return "\n".join(lines)


def _column(shown: pd.DataFrame, column: str) -> str:
    if column in shown.columns:
        return column
    found = [name for name in shown.columns if column.lower() in name.lower()]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"column {column!r} could be: {'; '.join(found)}")
    raise unknown("column", column, shown.columns)


def _method(rows: pd.DataFrame, row: str) -> tuple[str, str]:
    keys = {label(*key): key for key in method_rows(rows)}
    also = {f"{name}-{variant}": (name, variant) for name, variant in keys.values()}
    if row in keys | also:
        return (keys | also)[row]
    raise unknown("row", row, keys)


def _line(shown: pd.DataFrame, wanted: str) -> int:
    found = shown.index[shown["method"] == wanted]
    if not len(found):
        raise UserError(f"the table has no row {wanted!r}")
    return int(found[0])


def _metric(rows: pd.DataFrame, heading: str, data_title: str | None) -> tuple[str, str]:
    """(data set, metric) of a column: its heading is the metric's title, after the data set's in a wide table."""
    for data in rows.dataset.unique():
        for name in rows.metric.unique():
            if name not in metrics():
                continue
            title = f"{metrics()[name].title} {arrow(metrics()[name].direction)}".strip()
            if heading == f"{dataset(data).title} {title}":
                return data, name
            if heading == title and data_title in (None, dataset(data).title):
                return data, name
    raise UserError(f"column {heading!r} is no measured one: nothing stands behind it but this repository")


def _run(row: pd.Series, recorded: pd.DataFrame, runs: Path) -> list[str]:
    """The lines of one seed."""
    value = "none" if pd.isna(row.value) else f"{row.value:.6g}"
    note = f" ({row.note})" if row.note else ""
    lines = [f"  seed {row.seed}: {value}{note}, cell {row.cell}"]
    folder = runs / row.dataset / f"{row.method}-{row.variant}" / f"seed{row.seed}-{row.cell}"
    if not (folder / "run.json").exists():
        known = recorded.loc[row.cell] if row.cell in recorded.index else None
        if known is None:
            return [*lines, f"    {folder} is not here (dvc pull, or snakemake), and runs.csv does not know the cell"]
        said = ", ".join(
            f"{key} {known[key]}" for key in ("commit", "dirty", "processor", "device", "torch", "seconds")
        )
        return [*lines, f"    from runs.csv, for {folder} is not here (dvc pull, or snakemake): {said}"]
    record = json.loads((folder / "run.json").read_text())
    code, machine = record["code"], record["machine"]
    dirty = " with uncommitted changes" if code["dirty"] else ""
    measured = _measured(folder, row)
    return [
        *lines,
        f"    measured: {measured}",
        f"    weights: {folder}/model.safetensors sha256 {_sha256(folder / 'model.safetensors')[:12]}",
        f"    configuration: {json.dumps(record['resolved'], sort_keys=True)}",
        f"    code: commit {code['commit']}{dirty}; uv.lock sha256 {(record['lock_sha256'] or 'none')[:12]}",
        f"    data: {row.dataset} sha256 {record['data_sha256'][:12]}"
        + ("" if record["data_sha256"].startswith(row.data_sha256) else f" BUT rows.csv says {row.data_sha256}"),
        f"    machine: {machine['processor']}, {machine['device']}, {machine['threads']} thread(s), {machine['system']}",
        f"    libraries: {', '.join(f'{name} {version}' for name, version in record['libraries'].items())}",
        f"    cost: {record['seconds']} s, {record['peak_memory_mib']} MiB, {record['parameters']} parameters",
    ]


def _measured(folder: Path, row: pd.Series) -> str:
    """Which of the cell's files holds the value, and whether its codes are still those that were measured."""
    for path in sorted(folder.glob("metrics-*.json")):
        record: dict[str, Any] = json.loads(path.read_text())
        found = [entry for entry in record["rows"] if entry["metric"] == row.metric]
        if not found or found[0]["metric_version"] != row.metric_version or not _same(found[0]["value"], row.value):
            continue
        codes = folder / record["input"]
        if not codes.exists():
            return f"{path}, of {codes}, which is not here"
        same = _sha256(codes) == record["input_sha256"]
        return f"{path}, of {codes} sha256 {record['input_sha256'][:12]}" + (
            "" if same else " BUT the file has changed"
        )
    return f"NOTHING in {folder} holds this value: the table is older than the files, or edited"


def _same(value: float | None, shown: float) -> bool:
    if value is None or pd.isna(shown):
        return value is None and pd.isna(shown)
    return f"{value:.6g}" == f"{shown:.6g}"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
