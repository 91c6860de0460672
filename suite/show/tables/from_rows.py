"""Entries of rows.csv: what was measured, over seeds; chance levels and controls; the notes that tables of means share."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metrics import metric, metrics
from paramrel.data import dataset
from paramrel.method import method
from suite.show.statistics import Summary, summarise
from suite.show.tables.entries import METHOD, Column, Entry, Line, Note, Origin, Styled, of_summary

FLOORS = ("chance", "shuffled labels")
MEAN = "mean over seeds ± half width of the 95 % t-interval (number of seeds)"


@dataclass(frozen=True)
class Measured:
    """One metric over the seeds: its summary and the lines behind it; the reason where a seed, or every one, has no value."""

    summary: Summary | None
    note: str = ""
    lines: tuple[int, ...] = ()


def label(name: str, variant: str) -> str:
    """Row label of a method: title, and the variant in brackets unless there is one only."""
    title = method(name).title
    return title if variant == "default" else f"{title} ({variant})"


def method_rows(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """(method, variant) in order of appearance."""
    return list(rows[["method", "variant"]].drop_duplicates().itertuples(index=False, name=None))


def metrics_of(table: str) -> list[str]:
    """Names of the metrics that declare to stand in a table, in the order of their places."""
    places = {name: cls.places[table] for name, cls in metrics().items() if table in cls.places}
    return sorted(places, key=lambda name: (places[name], name))


class PerSeed:
    """The rows of each data set, method, variant and metric, one per seed; sorted once, found often."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = rows[rows.fold == "mean"]
        self._places = self._rows.groupby(["dataset", "method", "variant", "metric"]).indices
        self._values, self._notes = self._rows.value.to_numpy(float), self._rows.note.to_numpy(object)
        self._lines = np.array(lines_of(self._rows), int)

    def of(self, data: str, name: str, variant: str, metric_name: str) -> pd.DataFrame:
        """The rows behind one entry of a table."""
        return self._rows.iloc[self._places.get((data, name, variant, metric_name), [])]

    def measured(self, data: str, name: str, variant: str, metric_name: str) -> Measured:
        """One metric over the seeds that have a value; where one has none the reason that the rows give."""
        places = self._places.get((data, name, variant, metric_name))
        if places is None:
            return Measured(None, method(name).skip(dataset(data)) or "not in this preset")
        has = ~np.isnan(self._values[places])
        found, without = places[has], places[~has]
        why = self._notes[without[0]] if len(without) else ""
        summary = summarise(self._values[found]) if len(found) else None
        return Measured(summary, why, tuple(self._lines[found].tolist()))


def measured(rows: pd.DataFrame, data: str, name: str, variant: str, metric_name: str) -> Measured:
    """One metric over the seeds; ``PerSeed`` is for many."""
    mine = (rows.dataset == data) & (rows.method == name) & (rows.variant == variant) & (rows.metric == metric_name)
    return PerSeed(rows[mine]).measured(data, name, variant, metric_name)


def lines_of(rows: pd.DataFrame) -> tuple[int, ...]:
    """Line numbers in the file that ``rows`` was read from."""
    return tuple(int(i) + 2 for i in rows.index)


def metric_column(metric_name: str, before: str = "") -> Column:
    """The column of a measured metric; ``before`` stands before its title."""
    chosen = metric(metric_name)
    return Column(f"{before} {chosen.title}".strip(), chosen.direction, metric=metric_name)


def data_entry(data: str) -> Entry:
    """The key of a data set."""
    return Entry(text=dataset(data).title, name=data)


def method_entry(name: str, variant: str) -> Entry:
    """The key of a method's variant."""
    return Entry(text=label(name, variant), name=f"{name}-{variant}")


def value_entry(found: Measured, metric_name: str) -> Entry:
    """Mean, interval and number of seeds, and the reason why the other seeds, or all, have no value."""
    if found.summary is None:
        return Entry(reason=found.note)
    origin = Origin("rows.csv", found.lines, "value", MEAN)
    return of_summary(found.summary, metric(metric_name).digits, origin, found.note)


def floor_lines(rows: pd.DataFrame, data: str, columns: Iterable[Column]) -> list[Line]:
    """The last lines of a data set: chance levels, and the control on shuffled labels; lines without a number are
    left out."""
    columns, found = list(columns), []
    for title, entry_of in zip(FLOORS, (_chance, _shuffled), strict=True):
        entries = {column: entry_of(rows, data, column.metric) for column in columns}
        if any(entry.origin for entry in entries.values()):
            found.append(Line({METHOD: Entry(text=title)} | entries, floor=True))
    return found


def _chance(rows: pd.DataFrame, data: str, metric_name: str) -> Entry:
    found = rows[(rows.dataset == data) & (rows.metric == metric_name) & rows.chance.notna()].head(1)
    if found.empty:
        return Entry()
    origin = Origin("rows.csv", lines_of(found), "chance", "what codes without information score")
    return Entry(float(found.chance.iloc[0]), digits=metric(metric_name).digits, origin=origin)


def _shuffled(rows: pd.DataFrame, data: str, metric_name: str) -> Entry:
    found = rows[(rows.dataset == data) & (rows.metric == metric_name) & (rows.fold == "shuffled")]
    found = found[found.value.notna()].head(1)
    if found.empty:
        return Entry()
    origin = Origin("rows.csv", lines_of(found), "value", "on shuffled labels")
    return Entry(float(found.value.iloc[0]), digits=metric(metric_name).digits, origin=origin)


def seeds_notes(rows: pd.DataFrame) -> list[str]:
    """What the numbers are, and which seeds are missing."""
    whole = rows[(rows.fold == "mean") & rows.value.notna()]
    if whole.empty:
        return ["Nothing has been measured: rows.csv holds no value."]
    notes = ["One seed (1): no interval can be given."]
    if whole.seed.nunique() > 1:
        notes = ["Cells: mean over seeds ± half width of the 95 % t-interval (number of seeds)."]
    for data, mine in rows[rows.fold == "mean"].groupby("dataset", sort=False):
        wanted = set(mine[mine.cell != ""].seed)
        for key, of_method in mine.groupby(["method", "variant"], sort=False):
            has = set(of_method[of_method.value.notna()].seed)
            if has and wanted - has:
                missing = ", ".join(map(str, sorted(wanted - has)))
                said = of_method[of_method.seed.isin(wanted - has)].note
                reason = f" ({said.iloc[0]})" if len(said) else ""
                notes.append(f"{label(*key)} on {dataset(data).title}: no value of seed {missing}{reason}.")
    return notes


MARKS: Note = (
    Styled("Bold", "bold"), ": best, ", Styled("italic", "italic"),
    " (in LaTeX underlined): second best, by the numbers shown and the arrow's direction; table ",
    Styled("statistics", "code"), " says what of it is more than chance.",
)  # fmt: skip


def last_notes(lines: Iterable[Line], rows: pd.DataFrame) -> list[Note]:
    """What every table of means ends with: marks, if it has any, what the numbers are, and missing seeds."""
    marked = any(entry.mark for line in lines for entry in line.entries.values())
    return [*([MARKS] if marked else []), *seeds_notes(rows)]
