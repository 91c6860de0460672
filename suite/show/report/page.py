"""The page: what it shows is gathered here and laid out by page.html; the same inputs give the same bytes."""

import json
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from metrics import metrics
from paramrel.data import dataset
from paramrel.errors import UserError
from paramrel.files import write_text
from suite.graph.cells import Cell, cells, explored, run_dir, skipped
from suite.graph.config import Preset
from suite.measure.rows import ROW_COLUMNS, read_rows
from suite.measure.runs import read_runs, uncommitted
from suite.show.captions import CAPTIONS
from suite.show.report.embedded import QUALITIES, Quality, figure
from suite.show.report.explorer import explorer
from suite.show.report.headline import headline, sentences
from suite.show.report.missing import dashes, missing_cells
from suite.show.report.origins import Origins
from suite.show.tables import TABLES, Note, Table, make
from suite.show.tables.entries import DATA_SET

HERE = Path(__file__).parent
MAX_BYTES = 9_500_000
"""Pictures get smaller until the page is."""


def write_report(
    preset: Preset, name: str, config: Path, runs: Path, state: Path, page: Path, drawn: Path | None = None
) -> int:
    """Write ``page`` (results/<preset>/report.html) from rows.csv, runs.csv and figures/ beside it (or the figures in
    ``drawn``), and from the frames of the cells; returns its size in bytes.

    What is missing is said on the page, with the reason where one is known: rows, figures, frames, whole cells.
    Raises ``UserError`` where a file is damaged, or where the page cannot be written or made small enough.
    """
    folder = page.parent
    rows = read_rows(folder / "rows.csv") if (folder / "rows.csv").exists() else pd.DataFrame(columns=list(ROW_COLUMNS))
    recorded = read_runs(folder / "runs.csv") if (folder / "runs.csv").exists() else None
    wanted, unknown = _wanted(preset)
    origins = Origins(rows, recorded)
    tables = {name: _made(name, rows, recorded, origins) for name in TABLES}
    context: dict[str, Any] = {
        "preset": name,
        "sentences": sentences(rows),
        "headlines": [_table("", dataset(data).title, headline(rows, data), origins) for data in rows.dataset.unique()],
        "cost": tables.pop("cost", None),
        "tables": list(tables.values()),
        "missing": missing_cells(wanted, rows, config, name, runs, state),
        "skipped": [] if unknown else [(dataset(data).title, method, why) for data, method, why in skipped(preset)],
        "unknown": unknown,
        "dashes": dashes(rows),
        "glossary": _glossary(rows),
        "facts": _facts(rows, recorded, wanted),
        "data": {
            "preset": name,
            "groups": origins.groups,
            "lines": origins.lines(),
            **_behind(origins, recorded, wanted),
        },
    }
    first = [] if unknown else explored(preset)
    frames = [(cell, run_dir(runs, cell)) for cell in first]
    for quality in QUALITIES:
        text = _render(context, drawn or folder / "figures", frames, preset, quality)
        if len(text.encode()) <= MAX_BYTES:
            break
    else:
        raise UserError(f"{page} would have {len(text.encode()) / 1e6:.0f} MB: split the preset by data sets")
    write_text(page, text)
    return len(text.encode())


def _render(
    context: dict[str, Any], drawn: Path, frames: list[tuple[Cell, Path]], preset: Preset, quality: Quality
) -> str:
    shown, reasons = explorer(frames, preset.evaluate, quality)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["parts"] = _parts
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "ensure_ascii": False, "separators": (",", ":")}
    return environment.get_template("page.html").render(
        context
        | {"figures": [_figure(name, drawn, quality) for name in CAPTIONS], "not_explored": reasons}
        | {"explored": shown, "style": _own("page.css"), "script": _own("page.js")}
    )


def _own(name: str) -> Markup:
    """A file of this folder, as it is."""
    return Markup((HERE / name).read_text())


def _parts(note: Note) -> list[tuple[str, str]]:
    """(text, style) of the pieces of a note; the style of most is empty."""
    return [
        (part, "") if isinstance(part, str) else (part.text, part.style)
        for part in ((note,) if isinstance(note, str) else note)
    ]


def _made(name: str, rows: pd.DataFrame, runs: pd.DataFrame | None, origins: Origins) -> dict[str, Any]:
    """One of ``TABLES``."""
    return _table(name, TABLES[name][0], Table(()) if rows.empty else make(name, rows, runs), origins)


def _table(name: str, caption: str, table: Table, origins: Origins) -> dict[str, Any]:
    """A table for the template: columns, and lines of (text, mark, group of lines behind it, whether it names the
    line).

    A column that says the same data set in every line goes into the caption.
    """
    columns, titles = list(table.columns), {line[DATA_SET].text for line in table.lines}
    if DATA_SET in columns and len(titles) == 1:
        columns.remove(DATA_SET)
        caption = f"{caption}: {titles.pop()}" if name else caption
    lines = [
        {
            "entries": [(table.text(line[c]), line[c].mark, origins.of(line[c]), c.key) for c in columns],
            "floor": line.floor,
        }
        for line in table.lines
    ]
    return {"name": name, "caption": caption, "columns": columns, "lines": lines, "notes": table.notes}


def _figure(name: str, drawn: Path, quality: Quality) -> dict[str, Any]:
    """A figure with its caption and what it shows in words; without a picture where none was drawn."""
    path = drawn / f"{name}.png"
    return {
        "name": name,
        "caption": CAPTIONS[name].text,
        "alt": CAPTIONS[name].alt,
        "picture": figure(path, quality) if path.exists() else None,
        "path": str(path),
    }


def _wanted(preset: Preset) -> tuple[list[Cell], str]:
    """The cells of a preset, or none and the reason: results can be read where their data are not."""
    try:
        return cells(preset), ""
    except UserError as error:
        return [], str(error)


def _behind(origins: Origins, recorded: pd.DataFrame | None, wanted: list[Cell]) -> dict[str, Any]:
    """By cell: its run, and which of the distinct resolved configurations (without seeds) it has."""
    hashes = set(origins.cells())
    runs = (
        {} if recorded is None else {row["cell"]: row for row in recorded.to_dict("records") if row["cell"] in hashes}
    )
    texts: dict[str, int] = {}
    of = {}
    for cell in wanted:
        if cell.hash in hashes:
            resolved = {key: value for key, value in cell.resolved.items() if key != "seed"}
            of[cell.hash] = texts.setdefault(json.dumps(resolved, sort_keys=True), len(texts))
    return {"runs": runs, "configurations": [json.loads(text) for text in texts], "configuration_of": of}


def _glossary(rows: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """(title, which way is better, range, what it is) of every metric that has a value."""
    found = []
    for name in sorted(rows[rows.value.notna()].metric.unique()):
        if name in metrics():
            cls = metrics()[name]
            better = {"higher": "higher is better", "lower": "lower is better"}.get(cls.direction, "a description")
            low, high = (f"{bound:g}".replace("inf", "∞") for bound in cls.range)
            said = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
            found.append((cls.title, better, f"{low} to {high} {cls.unit}".strip(), said))
    return found


def _facts(rows: pd.DataFrame, recorded: pd.DataFrame | None, wanted: list[Cell]) -> list[tuple[str, str]]:
    """What the page is of, in short."""

    def distinct(name: str, frame: pd.DataFrame | None = recorded) -> str:
        values = (
            [] if frame is None or name not in frame else [str(value) for value in frame[name].unique() if str(value)]
        )
        return ", ".join(values) or "not recorded"

    facts = [
        (
            "cells (a method with a seed on a data set)",
            str(rows[rows.value.notna()].cell.nunique())
            + (f" of {len(wanted)} that the preset names" if wanted else ""),
        ),
        ("data sets", ", ".join(f"{dataset(name).title}" for name in rows.dataset.unique()) or "none"),
        ("seeds", distinct("seed", rows)),
        ("commit", distinct("commit") + "".join(f" ({text})" for text in uncommitted(recorded))),
        ("uv.lock, sha256", distinct("lock_sha256")),
        ("processor", distinct("processor")),
        ("device", distinct("device")),
        ("torch", distinct("torch")),
    ]
    data = rows[rows.data_sha256 != ""][["dataset", "data_sha256"]].drop_duplicates()
    return facts + [(f"data: {row.dataset}, sha256", row.data_sha256) for row in data.itertuples()]
