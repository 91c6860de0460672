"""The result of an evaluation as text: for other programs, for a page, for a terminal."""

import csv
import io
import json
from typing import Any, Literal, cast, get_args

from paramrel.errors import unknown
from suite.measure.escapes import md, no_formula

Form = Literal["json", "md", "csv"]

COLUMNS = ("metric", "value", "n", "chance", "direction", "unit", "note")


def form_called(name: str | None) -> Form | None:
    """The form of that name. Raises ``UserError`` with a suggestion if there is none."""
    if name is not None and name not in get_args(Form):
        raise unknown("format", name, get_args(Form))
    return cast(Form | None, name)


def shown(result: dict[str, Any], form: Form) -> str:
    """What ``evaluate`` returns, as JSON with all that stands behind the values, or as a table of its rows."""
    if form == "json":
        return json.dumps(result, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
    return _markdown(result["rows"]) if form == "md" else _csv(result["rows"])


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """A line for each row, for a terminal."""
    return [f"{row['metric']:24} {_number(row['value'])}" + f"  ({row['note']})" * bool(row["note"]) for row in rows]


def _markdown(rows: list[dict[str, Any]]) -> str:
    table = [list(COLUMNS), ["---"] * len(COLUMNS), *(_cells(row) for row in rows)]
    return "".join(f"| {' | '.join(md(cell) for cell in line)} |\n" for line in table)


def _cells(row: dict[str, Any]) -> list[str]:
    numbers = {"value": _number(row["value"]), "chance": "" if row["chance"] is None else _number(row["chance"])}
    return [numbers.get(column, str(row[column])) for column in COLUMNS]


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if 0 < abs(value) < 0.001 else f"{value:.4f}"


def _csv(rows: list[dict[str, Any]]) -> str:
    """Values with all digits; text that a spreadsheet would take for a formula gets a quote in front."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([no_formula(cell) if isinstance(cell := row[name], str) else cell for name in COLUMNS])
    return text.getvalue()
