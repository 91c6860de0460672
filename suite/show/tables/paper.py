"""Tables 2 and 3 of the paper: what it prints beside what was measured here."""

from dataclasses import dataclass, replace

import pandas as pd

from metrics import metric
from metrics.notblur import TICK
from paramrel.data import dataset
from paramrel.method import method
from suite.show.tables import published
from suite.show.tables.entries import METHOD, Column, Entry, Line, Table, mark_best
from suite.show.tables.from_rows import (
    PerSeed,
    floor_lines,
    last_notes,
    method_entry,
    method_rows,
    metric_column,
    value_entry,
)


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper: its data sets and metrics in the order of print, and which other data sets belong there."""

    number: str
    datasets: tuple[str, ...]
    metrics: tuple[str, ...]
    labels: tuple[str, ...]
    notes: tuple[str, ...]


TABLE2 = PaperTable(
    "2", ("mnist_binarized", "fashionmnist_binarized"), ("auroc", "accuracy", "notblur"), ("classes",),
    (
        "ParamReL_d (self) is the paper's row with the progressive encoder, ParamReL_d (vanilla) the one without; "
"lambda = "
        "0.1, our default, in both.",
        "The paper's caption calls these numbers classification accuracy, its column and text AUROC.",
    ),
)  # fmt: skip
TABLE3 = PaperTable(
    "3", ("celeba", "shapes3d"), ("tad", "attrs", "auroc", "dci", "notblur"), ("attributes", "factors"),
    (
        "The paper's ParamReL with prior d is ParamReL_c (delta output) here, with prior c ParamReL (discretised). "
"self has "
        "lambda = 0.1, our default; self_mmd001 has 0.01.",
        "The baselines' published TAD and ATTRS are those of arXiv 2306.08757, not of runs beside ParamReL.",
    ),
)  # fmt: skip


def table2(rows: pd.DataFrame) -> Table:
    """Table 2 of the paper: what a linear probe reads from the codes, on data sets with classes."""
    return _table(rows, TABLE2)


def table3(rows: pd.DataFrame) -> Table:
    """Table 3 of the paper: disentanglement, on data sets with attributes or factors."""
    return _table(rows, TABLE3)


def _table(rows: pd.DataFrame, paper: PaperTable) -> Table:
    """Data sets of the rows first, then those that the paper has and the rows have not, with its numbers alone."""
    here = [data for data in rows.dataset.unique() if dataset(data).label_kind in paper.labels]
    missing = [data for data in paper.datasets if data not in here]
    mine = rows[rows.dataset.isin(here)]
    columns = {data: _columns(mine, paper, data) for data in (*here, *missing)}
    per_seed = PerSeed(mine)
    lines = [
        Line(
            {METHOD: method_entry(*key)}
            | {
                column: _entry(per_seed, paper, data, key, column)
                for data, of_data in columns.items()
                for column in of_data
            }
        )
        for key in _in_order(mine, paper, [*here, *missing])
    ]
    shown = [column for of_data in columns.values() for column in of_data]
    for column in shown:
        if not column.published:
            mark_best(lines, column)
    lines += _floors(mine, {data: columns[data] for data in here})
    remarks = (*_notes(paper, here, missing, columns), *last_notes(lines, mine))
    return Table((METHOD, *shown), tuple(lines), remarks)


def _floors(rows: pd.DataFrame, columns: dict[str, list[Column]]) -> list[Line]:
    """Chance levels and controls: a line holds those of all data sets."""
    found: dict[str, Line] = {}
    for data, of_data in columns.items():
        for line in floor_lines(rows, data, [column for column in of_data if not column.published]):
            found.setdefault(line[METHOD].text, line).entries.update(line.entries)
    return list(found.values())


def _columns(rows: pd.DataFrame, paper: PaperTable, data: str) -> list[Column]:
    """The columns of one data set: published beside measured, where there is either."""
    mine = rows[rows.dataset == data]
    has = set(mine[mine.value.notna()].metric)
    if not has & set(paper.metrics):  # all failed: one column says so
        has = set(list(filter(set(mine.metric).__contains__, paper.metrics))[:1])
    title, columns = dataset(data).title, []
    for name in paper.metrics:
        if len(published.find(paper.number, data, name)):
            columns.append(Column(f"{title} {metric(name).title}", published=True, metric=name))
        if name in has:
            columns.append(metric_column(name, title))
    return columns


def _in_order(rows: pd.DataFrame, paper: PaperTable, datasets: list[str]) -> list[tuple[str, str]]:
    """Sanity rows, then methods as the paper prints them, then others; each with its variants."""
    printed = published.keys(paper.number, datasets)
    found = list(dict.fromkeys([*method_rows(rows), *printed]))
    order = list(dict.fromkeys(name for name, _ in [*published.keys("2", list(TABLE2.datasets)), *printed]))
    place = {name: i for i, name in enumerate(dict.fromkeys(name for name, _ in found))}
    late = len(order)

    def rank(key: tuple[str, str]) -> tuple[bool, int, int]:
        return method(key[0]).trained, order.index(key[0]) if key[0] in order else late, place[key[0]]

    return sorted(found, key=rank)


def _entry(per_seed: PerSeed, paper: PaperTable, data: str, key: tuple[str, str], column: Column) -> Entry:
    if column.published:
        return published.entry(published.find(paper.number, data, column.metric, key))
    found = per_seed.measured(data, *key, column.metric)
    summary, sharp = found.summary, column.metric == "notblur"
    ticked = sharp and summary is not None and TICK[0] <= summary.mean <= TICK[1]
    return replace(value_entry(found, column.metric), ticked=ticked)


def _notes(paper: PaperTable, here: list[str], missing: list[str], columns: dict[str, list[Column]]) -> list[str]:
    notes, shown = [], {data: {column.metric for column in of_data} for data, of_data in columns.items()}
    if missing:
        titles = ", ".join(dataset(data).title for data in missing)
        notes.append(f"Not measured in this preset: {titles}; the published numbers are shown.")
    printed = [published.find(paper.number, data, name) for data, names in shown.items() for name in names]
    if any(len(found) for found in printed):
        notes += [*published.notes(pd.concat(printed).sort_index()), *paper.notes]
    for data in here:
        if dataset(data).probe_on == "all":
            notes.append(
                f"{dataset(data).title}: probes see the codes of all images (the set is too small to hold out a "
                "fifth); training sees no label, and the probe's folds are held out."
            )
    if any("notblur" in names for names in shown.values()):
        notes.append(
            f"Sharpness ratio: ✓ if in [{TICK[0]:g}, {TICK[1]:g}], which is our reading of the paper's undefined "
            f"tick (its "
            "own ticks are not in the text). Of images made from all that a method keeps: near 1 for a flow or a "
            "diffusion whatever z says."
        )
    return notes
