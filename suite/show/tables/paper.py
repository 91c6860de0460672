"""Tables 2 and 3 of the paper: what it prints beside what was measured here."""

from dataclasses import dataclass

import pandas as pd

from metrics import metric
from metrics.notblur import TICK
from paramrel.data import dataset
from paramrel.method import method
from suite.show.tables import published
from suite.show.tables.entries import (
    Reasons,
    Shown,
    floor_lines,
    frame_of,
    label,
    last_notes,
    mark_best,
    measured,
    method_rows,
    title_of,
    value_cell,
)


@dataclass(frozen=True)
class Layout:
    """A table of the paper: its data sets and metrics in the order of print, and which other data sets belong there."""

    table: str
    datasets: tuple[str, ...]
    metrics: tuple[str, ...]
    labels: tuple[str, ...]
    notes: tuple[str, ...]


TABLE2 = Layout(
    "2", ("mnist_binarized", "fashionmnist_binarized"), ("auroc", "accuracy", "notblur"), ("classes",),
    (
        "ParamReL_d (self) is the paper's row with the progressive encoder, ParamReL_d (vanilla) the one without; lambda = "
        "0.1, our default, in both.",
        "The paper's caption calls these numbers classification accuracy, its column and text AUROC.",
    ),
)  # fmt: skip
TABLE3 = Layout(
    "3", ("celeba", "shapes3d"), ("tad", "attrs", "auroc", "dci", "notblur"), ("attributes", "factors"),
    (
        "The paper's ParamReL with prior d is ParamReL_c (delta output) here, with prior c ParamReL (discretised). self has "
        "lambda = 0.1, our default; self_mmd001 has 0.01.",
        "The baselines' published TAD and ATTRS are those of arXiv 2306.08757, not of runs beside ParamReL.",
    ),
)  # fmt: skip


def table2(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Table 2 of the paper: what a linear probe reads from the codes, on data sets with classes.

    Returns the table and its notes.
    """
    return _table(rows, TABLE2)


def table3(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Table 3 of the paper: disentanglement, on data sets with attributes or factors.

    Returns the table and its notes.
    """
    return _table(rows, TABLE3)


def _table(rows: pd.DataFrame, layout: Layout) -> tuple[pd.DataFrame, list[str]]:
    """Data sets of the rows first, then those that the paper has and the rows have not, with its numbers alone."""
    here = [data for data in rows.dataset.unique() if dataset(data).label_kind in layout.labels]
    missing = [data for data in layout.datasets if data not in here]
    mine, reasons = rows[rows.dataset.isin(here)], Reasons()
    shown = {data: _columns(mine, layout, data) for data in (*here, *missing)}
    lines = [
        {"method": label(*key)} | {
            heading: _cell(mine, layout, data, key, metric_name, heading, reasons)
            for data, columns in shown.items() for heading, metric_name in columns.items()
        }
        for key in _in_order(mine, layout, [*here, *missing])
    ]  # fmt: skip
    floors: dict[str, dict[str, str]] = {}
    for data in here:
        names = {name: heading for heading, name in shown[data].items() if not _is_published(heading)}
        for line, cells in floor_lines(mine, data, names, names.__getitem__).items():
            floors[line] = floors.get(line, {"method": line}) | cells
    headings = ["method", *(heading for columns in shown.values() for heading in columns)]
    frame = frame_of([*lines, *floors.values()], headings)
    for data in here:
        for heading in shown[data]:
            if not _is_published(heading):
                mark_best(frame, heading, _direction(heading), frame.index)
    return frame, [*_notes(layout, here, missing, shown, reasons), *last_notes(frame, mine)]


def _columns(rows: pd.DataFrame, layout: Layout, data: str) -> dict[str, str]:
    """heading -> metric of one data set: published beside measured, where there is either."""
    mine = rows[rows.dataset == data]
    has = set(mine[mine.value.notna()].metric)
    if not has & set(layout.metrics):  # all failed: one column says so
        has = set(list(filter(set(mine.metric).__contains__, layout.metrics))[:1])
    title, columns = dataset(data).title, {}
    for name in layout.metrics:
        if len(published.find(layout.table, data, name)):
            columns[f"{title} {metric(name).title}, published"] = name
        if name in has:
            columns[f"{title} {title_of(name)}"] = name
    return columns


def _is_published(heading: str) -> bool:
    return heading.endswith(", published")


def _direction(heading: str) -> str:
    return {"↑": "higher", "↓": "lower"}.get(heading[-1], "none")


def _in_order(rows: pd.DataFrame, layout: Layout, datasets: list[str]) -> list[tuple[str, str]]:
    """Sanity rows, then methods as the paper prints them, then others; each with its variants."""
    printed = published.keys(layout.table, datasets)
    found = list(dict.fromkeys([*method_rows(rows), *printed]))
    order = list(dict.fromkeys(name for name, _ in [*published.keys("2", list(TABLE2.datasets)), *printed]))
    place = {name: i for i, name in enumerate(dict.fromkeys(name for name, _ in found))}
    late = len(order)

    def rank(key: tuple[str, str]) -> tuple[bool, int, int]:
        return method(key[0]).trained, order.index(key[0]) if key[0] in order else late, place[key[0]]

    return sorted(found, key=rank)


def _cell(rows: pd.DataFrame, layout: Layout, data: str, key: tuple[str, str], name: str, heading: str, reasons: Reasons) -> Shown:  # fmt: skip
    if _is_published(heading):
        return published.cell(published.find(layout.table, data, name, key))
    found = measured(rows, data, *key, name)
    shown = value_cell(found, name, reasons)
    if name == "notblur" and found.summary is not None and TICK[0] <= found.summary.mean <= TICK[1]:
        return Shown(f"{shown} ✓", shown.origin)
    return shown


def _notes(layout: Layout, here: list[str], missing: list[str], shown: dict[str, dict[str, str]], reasons: Reasons) -> list[str]:  # fmt: skip
    notes = reasons.notes
    if missing:
        titles = ", ".join(dataset(data).title for data in missing)
        notes.append(f"Not measured in this preset: {titles}; the published numbers are shown.")
    printed = [published.find(layout.table, data, name) for data in shown for name in set(shown[data].values())]
    if any(len(found) for found in printed):
        notes += [*published.notes(pd.concat(printed).sort_index()), *layout.notes]
    for data in here:
        if dataset(data).probe_on == "all":
            notes.append(
                f"{dataset(data).title}: probes see the codes of all images (the set is too small to hold out a "
                "fifth); training sees no label, and the probe's folds are held out."
            )
    if any("notblur" in columns.values() for columns in shown.values()):
        notes.append(
            f"Sharpness ratio: ✓ if in [{TICK[0]:g}, {TICK[1]:g}], which is our reading of the paper's undefined tick (its "
            "own ticks are not in the text). Of images made from all that a method keeps: near 1 for a flow or a "
            "diffusion whatever z says."
        )
    return notes
