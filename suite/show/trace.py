"""From a number in a table back to what made it, each step checked: the table, its rows, files, runs."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from paramrel.errors import UserError, nearest, unknown
from paramrel.files import read_record
from suite.graph.chain import TRAINED, faults
from suite.graph.hashing import file_sha256
from suite.graph.names import timing_of
from suite.measure.commit import in_words
from suite.measure.escapes import no_formula
from suite.measure.rows import read_rows
from suite.measure.runs import read_runs
from suite.show.tables import TABLES, Column, Line, Origin, Table, label, make
from suite.show.tables.published import PUBLISHED, published
from suite.show.tables.write import csv_entry

RECORDED = {
    "encoded by": "encoded_by", "measured by": "measured_by", "BLAS kernels": "blas", "processor": "processor",
    "device": "device", "torch": "torch", "seconds": "seconds",
}  # fmt: skip
"""What is said of a run whose folder is not here, and its columns in runs.csv."""

MISSING = "snakemake makes it, or dvc pull fetches it where a DVC remote has it"


@dataclass(frozen=True)
class Opened:
    """A table as its file shows it, and as it is made anew from the rows beside it, where entries know their origin."""

    path: Path
    rows: pd.DataFrame
    runs: pd.DataFrame | None
    shown: pd.DataFrame
    made: Table

    @property
    def keys(self) -> list[Column]:
        """Columns that name a line."""
        return [column for column in self.made.columns if column.key]

    @cached_property
    def names(self) -> list[str]:
        """What ``trace`` calls each line: "DATA SET / METHOD"."""
        return [" / ".join(line[key].text for key in self.keys) for line in self.made.lines]

    def name(self, line: int) -> str:
        """What ``trace`` calls a line."""
        return self.names[line]


def open_table(path: Path) -> Opened:
    """A .csv beside its rows.csv (and runs.csv). Raises ``UserError`` where it is missing or no table of results."""
    if not path.exists() or path.stem not in TABLES:
        known = sorted(found.stem for found in path.parent.glob("*.csv") if found.stem in TABLES)
        raise UserError(f"{path} is no table: tables there: {', '.join(known) or 'none; run snakemake'}")
    rows = read_rows(path.parent / "rows.csv")
    recorded = path.parent / "runs.csv"
    runs = read_runs(recorded) if recorded.exists() else None
    shown = pd.read_csv(path, dtype=str, keep_default_na=False)
    return Opened(path, rows, runs, shown, make(path.stem, rows, runs))


def trace(table: Path, row: str, column: str, runs: Path) -> str:
    """The chain behind one entry of ``table`` (a .csv beside its rows.csv and runs.csv), as text.

    ``row`` is a line's label, method-variant, or "DATA SET / METHOD" where several lines share it; ``column`` a heading
    or a part of one that no other heading has (published ones are taken only if nothing else fits). Raises
    ``UserError`` for an entry that is not there, or that no number stands behind.
    """
    opened = open_table(table)
    return explain(opened, find_line(opened, row), find_column(opened, column), runs)


def find_column(opened: Opened, column: str) -> Column:
    """The column that is meant. Raises ``UserError`` where there is none, or more than one."""
    columns = {one.heading: one for one in opened.made.columns if not one.key}
    if column in columns:
        return columns[column]
    found = [one for heading, one in columns.items() if column.lower() in heading.lower()]
    measured = [one for one in found if not one.published]
    found = measured if len(measured) == 1 else found
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"column {column!r} could be: {'; '.join(one.heading for one in found)}")
    raise unknown("column", column, columns)


def find_line(opened: Opened, row: str) -> int:
    """The line that is meant. Raises ``UserError`` where there is none, or more than one."""
    lines = [i for i, name in enumerate(opened.names) if name == row]
    if not lines:
        lines = [i for i, name in enumerate(opened.names) if name.casefold() == row.casefold()]
    if not lines:
        wanted = set(row.split(" / "))
        lines = [i for i, line in enumerate(opened.made.lines) if all(_called(opened, line, part) for part in wanted)]
    if len(lines) == 1:
        return lines[0]
    if lines:
        raise UserError(f"row {row!r} could be: {'; '.join(opened.name(i) for i in lines[:8])}")
    parts = {part for name in opened.names for part in name.split(" / ")}
    raise unknown("row", row, parts if nearest(row, parts) else opened.names)


def _called(opened: Opened, line: Line, part: str) -> bool:
    """Whether one of a line's keys is called so: in the table's words, or by its registered name; in any case."""
    names = {str(name).casefold() for key in opened.keys for name in (line[key].text, line[key].name)}
    return part.casefold() in names


def explain(opened: Opened, line: int, column: Column, runs: Path) -> str:
    """The chain behind an entry. Raises ``UserError`` where no number stands in it."""
    entry = opened.made.lines[line][column]
    text, where, origin = opened.made.text(entry), f"{opened.name(line)}, {column.heading}", entry.origin
    if origin is None:
        why = f"{text}: {entry.reason}." if entry.reason else text or "nothing is measured there"
        raise UserError(f"no number stands in {where}: {why}")
    lines = [f"{opened.path}: {where} = {text}"]
    written = _written(opened, line, column)
    if written != csv_entry(opened.made, entry):
        lines.append(f"  BUT the file shows {written!r}: it is older than its rows, or edited")
    lines.append(f"  {origin.how}")
    if origin.file == "published.csv":
        return "\n".join([*lines, *_published(origin)])
    if origin.file == "runs.csv":
        return "\n".join([*lines, *_recorded(opened, origin, runs)])
    if origin.file == "rows.csv":
        lines += _measured_rows(opened, origin.lines, origin.column, runs)
        if origin.minus:
            lines += ["  minus", *_measured_rows(opened, origin.minus, origin.column, runs)]
    return "\n".join(lines)


def _written(opened: Opened, line: int, column: Column) -> str | None:
    """The entry as the file has it, or None."""
    heading = no_formula(column.heading)
    if heading not in opened.shown or line >= len(opened.shown):
        return None
    keys = {no_formula(key.heading): csv_entry(opened.made, opened.made.lines[line][key]) for key in opened.keys}
    same = all(opened.shown.loc[line, key] == text for key, text in keys.items() if key in opened.shown)
    return opened.shown.loc[line, heading] if same else None


def _published(origin: Origin) -> list[str]:
    found = published().loc[origin.lines[0] - 2]
    return [f"  {PUBLISHED.name} line {origin.lines[0]}: {', '.join(f'{k} {v}' for k, v in found.items() if v)}"]


def _recorded(opened: Opened, origin: Origin, runs: Path) -> list[str]:
    """Lines of runs.csv, with the runs that they record."""
    assert opened.runs is not None, "an entry of runs.csv comes from there"
    lines = []
    for number in origin.lines:
        found = opened.runs.loc[number - 2]
        lines.append(f"  runs.csv line {number}, seed {found.seed}: {origin.column} {found[origin.column]}")
        lines += _run(found, opened, runs)
    return lines


def _measured_rows(opened: Opened, numbers: tuple[int, ...], column: str, runs: Path) -> list[str]:
    """Lines of rows.csv, with the runs that they come from."""
    lines = []
    for number in numbers:
        row = opened.rows.loc[number - 2]
        note = f" ({row.note})" if row.note else ""
        value = f"{row[column]:.6g}"
        lines.append(
            f"  rows.csv line {number}, {label(row.method, row.variant)}, seed {row.seed}: {value}{note}; "
            f"{row.metric} version "
            f"{row.metric_version} of {row.dataset}, {column}, fold {row.fold}, n {row.n}, cell {row.cell}"
        )
        lines += _run(row, opened, runs, column)
    return lines


def _run(row: pd.Series, opened: Opened, runs: Path, column: str | None = None) -> list[str]:
    """The run behind a line: its own record, or what runs.csv says where the folder is not here."""
    folder = runs / row.dataset / f"{row.method}-{row.variant}" / f"seed{row.seed}-{row.cell}"
    if not (folder / "run.json").exists():
        known = opened.runs[opened.runs.cell == row.cell] if opened.runs is not None else pd.DataFrame()
        if known.empty:
            return [f"    {folder} is not here ({MISSING}), and runs.csv does not know the cell"]
        line = known.iloc[0]
        trained = in_words({"commit": line.commit or None, "dirty": line.dirty == "True"})
        rest = [f"{name} {line[column] or 'not recorded'}" for name, column in RECORDED.items()]
        said = ", ".join([f"trained by {trained}", *rest])
        return [f"    from runs.csv, for {folder} is not here ({MISSING}): {said}"]
    record = read_record(folder / "run.json")
    machine = record["machine"]
    data_sha256 = row.get("data_sha256", "")
    return [
        *([f"    measured: {_measured(folder, row, column)}"] if column else []),
        f"    weights: {_weights(folder)}",
        f"    configuration: {json.dumps(record['resolved'], sort_keys=True)}",
        f"    code: {in_words(record['code'])}; uv.lock sha256 {(record['lock_sha256'] or 'none')[:12]}",
        f"    data: {row.dataset} sha256 {record['data_sha256'][:12]}"
        + ("" if record["data_sha256"].startswith(data_sha256) else f" BUT rows.csv says {data_sha256}"),
        f"    machine: {machine['processor']}, {machine['device']}, {machine['threads']} thread(s), "
        f"{machine['system']}",
        f"    libraries: {', '.join(f'{name} {version}' for name, version in record['libraries'].items())}",
        f"    cost: {record['seconds']} s, {record['peak_memory_mib']} MiB, {record['parameters']} parameters",
    ]


def _weights(folder: Path) -> str:
    path = folder / "model.safetensors"
    if not path.exists():
        return f"{path} is not here ({MISSING})"
    wrong = next(faults(folder, *TRAINED), None)
    return f"{path} sha256 {file_sha256(path)[:12]}" + (f" BUT {wrong.reason}" if wrong else "")


def _measured(folder: Path, row: pd.Series, column: str) -> str:
    """Which of the cell's files holds the value, and whether its codes are still those that were measured."""
    pattern = "control-*.json" if row.fold == "shuffled" else "metrics-*.json"
    for path in sorted(folder.glob(pattern)):
        record = read_record(path, "rows", "input", "input_sha256")
        found = [entry for entry in record["rows"] if entry["metric"] == row.metric]
        if not found or found[0]["metric_version"] != row.metric_version or not _same(found[0][column], row[column]):
            continue
        codes = folder / record["input"]
        how = f"{path}, by {in_words(record.get('code'))}, BLAS kernels {record.get('blas', 'not recorded')}"
        if not codes.exists():
            return f"{how}; of {codes}, which is not here"
        changed = "" if file_sha256(codes) == record["input_sha256"] else " BUT the file has changed"
        wrong = None if changed else next(faults(folder, timing_of(codes).name, codes.name, path.name), None)
        changed += f" BUT {wrong.reason}" if wrong else ""
        return f"{how}; of {codes} sha256 {record['input_sha256'][:12]}{changed}, {_encoded(codes)}"
    return f"NOTHING in {folder} holds this value: the table is older than the files, or edited"


def _encoded(codes: Path) -> str:
    """Which code made a file of codes."""
    timing = timing_of(codes)
    record = read_record(timing) if timing.exists() else {}
    return f"encoded by {in_words(record.get('code'))}"


def _same(value: float | None, shown: float) -> bool:
    if value is None or pd.isna(shown):
        return value is None and pd.isna(shown)
    return f"{value:.6g}" == f"{shown:.6g}"
