"""Tables as files: csv, GitHub Markdown, LaTeX. The same table gives the same bytes."""

import csv
import io
import re
from pathlib import Path

from tabulate import tabulate

from paramrel.files import write_text
from suite.measure.escapes import md, no_formula
from suite.show.tables.entries import Entry, Note, Styled, Table
from suite.show.tables.latex import latex


def write_table(table: Table, caption: str, stem: Path) -> None:
    """``stem``.csv (no notes), .md and .tex (both with the notes below the table)."""
    write_text(stem.with_suffix(".csv"), csv_of(table))
    write_text(stem.with_suffix(".md"), markdown(table, caption))
    write_text(stem.with_suffix(".tex"), latex(table, caption))


def csv_of(table: Table) -> str:
    """The headings and the entries without marks."""
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow([no_formula(column.heading) for column in table.columns])
    lines.writerows([csv_entry(table, line[column]) for column in table.columns] for line in table.lines)
    return file.getvalue()


def csv_entry(table: Table, entry: Entry) -> str:
    """What the csv file shows of an entry: a number as it is, words as no formula."""
    text = table.text(entry)
    return text if entry.value is not None else no_formula(text)


def markdown(table: Table, caption: str) -> str:
    """GitHub Markdown: best in bold, second best in italics, the notes as a list below."""
    lines = [[_marked(table, line[column]) for column in table.columns] for line in table.lines]
    headings = [md(column.heading) for column in table.columns]
    text = tabulate(lines, headings, tablefmt="pipe", disable_numparse=True)
    return "\n".join([f"**{md(caption)}**", "", text, "", *(f"- {_note(note)}" for note in table.notes), ""])


STARS = {"": "", "best": "**", "second": "*"}
STYLES = {"bold": "**", "italic": "*", "code": "`"}
BLOCK = re.compile(r"^(\d*)(?=[#>+-]|(?<=\d)[.)](?:\s|$))")
"""Where a heading, a quote or a list would begin."""


def _marked(table: Table, entry: Entry) -> str:
    stars = STARS[entry.mark]
    return f"{stars}{md(table.text(entry))}{stars}"


def _note(note: Note) -> str:
    parts = (note,) if isinstance(note, str) else note
    text = "".join(f"{STYLES[p.style]}{p.text}{STYLES[p.style]}" if isinstance(p, Styled) else md(p) for p in parts)
    return BLOCK.sub(r"\1\\", text)
