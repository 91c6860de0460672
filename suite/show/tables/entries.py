"""A table as data: columns, lines and entries with types. Writers turn it into text; no text is read back."""

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from suite.show.statistics import Summary

DASH = "–"
Direction = Literal["higher", "lower", "none"]
Mark = Literal["", "best", "second"]


@dataclass(frozen=True)
class Origin:
    """Where the numbers of an entry come from: lines of a file (its heading is line 1), and what is made of them."""

    file: str
    """rows.csv or runs.csv beside the table, or published.csv."""
    lines: tuple[int, ...]
    column: str
    how: str
    minus: tuple[int, ...] = ()
    """Lines whose values are subtracted, seed by seed."""


@dataclass(frozen=True)
class Column:
    """A column: what it shows, which way is better, and whose numbers they are."""

    title: str
    direction: Direction = "none"
    published: bool = False
    """True: numbers that others print. False: measured or recorded here."""
    key: bool = False
    """True: its words name a line."""
    metric: str = ""
    """Registered name of the metric that it shows, if it shows one."""

    @property
    def heading(self) -> str:
        """The title, and which way is better or that it is published."""
        return f"{self.title}, published" if self.published else f"{self.title} {arrow(self.direction)}".strip()


DATA_SET, METHOD = Column("data set", key=True), Column("method", key=True)


@dataclass(frozen=True)
class Entry:
    """What stands in a line and a column: a number, or words, or a dash with its reason. ``Entry()`` is empty."""

    value: float | None = None
    half_width: float | None = None
    """Half the width of the 95 % t-interval over seeds. None: one seed, or no mean over seeds."""
    n: int | None = None
    """Number of seeds. None: no mean over seeds."""
    digits: int = 0
    """Decimals that are shown; ranks are of the value with these decimals."""
    signed: bool = False
    """Whether a plus is shown."""
    ticked: bool = False
    """Whether a ✓ stands behind the number."""
    text: str = ""
    """Words in place of a number; also a published number, as it is printed."""
    name: str = ""
    """Of a key: the registered name of a data set or metric, or method-variant."""
    reason: str = ""
    """Why there is a dash in place of the number, or of the seeds that have none."""
    origin: Origin | None = None
    """None: there is no number."""
    mark: Mark = ""

    @property
    def rank(self) -> float | None:
        """The value with the decimals that are shown."""
        return None if self.value is None else round(self.value, self.digits)


EMPTY = Entry()


@dataclass(frozen=True)
class Line:
    """Entries by column; what is not there is empty. A floor (chance, shuffled labels) is never the best."""

    entries: dict[Column, Entry]
    floor: bool = False

    def __getitem__(self, column: Column) -> Entry:
        return self.entries.get(column, EMPTY)


@dataclass(frozen=True)
class Styled:
    """A piece of a note in another type."""

    text: str
    style: Literal["bold", "italic", "code"]


Note = str | tuple[str | Styled, ...]
"""A sentence below a table; its strings hold no markup."""


@dataclass(frozen=True)
class Table:
    """Columns, lines in their order, and remarks; ``notes`` also has the reasons of dashes."""

    columns: tuple[Column, ...]
    lines: tuple[Line, ...] = ()
    remarks: tuple[Note, ...] = ()

    @cached_property
    def letters(self) -> dict[str, str]:
        """Letter of each reason, in the order in which a reader meets them."""
        met = (line[column].reason for line in self.lines for column in self.columns)
        return {reason: _letter(i) for i, reason in enumerate(dict.fromkeys(reason for reason in met if reason))}

    @property
    def notes(self) -> list[Note]:
        """What belongs below the table: the reasons of its dashes, then its remarks."""
        return [*(f"{DASH} {letter}: {reason}." for reason, letter in self.letters.items()), *self.remarks]

    def text(self, entry: Entry) -> str:
        """An entry in words, without the mark of best and second best."""
        dash = f"{DASH} {self.letters[entry.reason]}" if entry.reason else ""
        if entry.text or entry.value is None:
            return entry.text or dash
        n = "" if entry.n is None else f" ({entry.n}{', ' + dash if dash else ''})"
        return f"{number(entry)}{n}{' ✓' if entry.ticked else ''}"

    def with_remarks(self, *remarks: Note) -> "Table":
        """The same table with more remarks."""
        return replace(self, remarks=(*self.remarks, *remarks))


def number(entry: Entry) -> str:
    """Value and half width of an entry that has a value: "0.9941 ± 0.0008"."""
    text = f"{entry.value:{'+' if entry.signed else ''}.{entry.digits}f}"
    return text if entry.half_width is None else f"{text} ± {entry.half_width:.{entry.digits}f}"


def of_summary(summary: Summary, digits: int, origin: Origin | None = None, reason: str = "") -> Entry:
    """The entry of a mean over seeds."""
    return Entry(summary.mean, summary.half_width, summary.n, digits, reason=reason, origin=origin)


def in_words(summary: Summary | None, digits: int = 4) -> str:
    """A mean over seeds in a sentence: "0.9941 ± 0.0008", "0.9941" for one seed, or a dash."""
    return DASH if summary is None else number(of_summary(summary, digits))


def arrow(direction: str) -> str:
    """Which way is better."""
    return {"higher": "↑", "lower": "↓"}.get(direction, "")


def mark_best(lines: Iterable[Line], column: Column) -> None:
    """Mark best and second best of some lines by the values with the decimals that are shown: ties share a mark.

    Nothing is marked where there are not two numbers, or all are the same; a floor never is.
    """
    lines = list(lines)
    ranks = {i: line[column].rank for i, line in enumerate(lines) if not line.floor}
    order = sorted({rank for rank in ranks.values() if rank is not None}, reverse=column.direction == "higher")
    if column.direction == "none" or len(order) < 2:
        return
    marks: Mapping[float | None, Mark] = {order[0]: "best", order[1]: "second"}
    for i, rank in ranks.items():
        if rank in marks:
            lines[i].entries[column] = replace(lines[i][column], mark=marks[rank])


def _letter(i: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    first, second = divmod(i, 26)
    return (string.ascii_lowercase[first - 1] if first else "") + string.ascii_lowercase[second]
