"""Which rows a cell of a table stands for, told by its line and its heading: for tables whose cells do not say it."""

from dataclasses import dataclass

import pandas as pd

from metrics import metrics
from paramrel.data import dataset
from suite.tables import FLOORS, arrow, label, method_rows


@dataclass(frozen=True)
class Origin:
    """Where the numbers of a cell come from: lines of a file (its heading is line 1), and what is made of them."""

    file: str
    """rows.csv, runs.csv or published.csv."""
    lines: tuple[int, ...]
    column: str
    how: str
    minus: tuple[int, ...] = ()
    """Lines whose values are subtracted, seed by seed."""


MEAN = "mean over seeds ± half width of the 95 % t-interval"


class ByHeading:
    """Finds the rows of a cell: a heading is a metric's title, after the data set's in a wide table."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = dict(list(rows[~rows.fold.str.isdigit()].groupby(["dataset", "metric"])))
        self._methods = {label(*key): key for key in method_rows(rows)}
        self._titles = {dataset(name).title: name for name in rows.dataset.unique()}
        self._headings: dict[str, tuple[str | None, str]] = {}
        for name in rows.metric.unique():
            if name in metrics():
                shown = f"{metrics()[name].title} {arrow(metrics()[name].direction)}".strip()
                self._headings[shown] = (None, name)
                self._headings |= {f"{title} {shown}": (data, name) for title, data in self._titles.items()}

    def of(self, line: pd.Series, heading: str) -> Origin | None:
        """The origin of a cell, or None where no row stands behind it."""
        data, name = self._headings.get(heading, (None, ""))
        data = data or self._titles.get(line.get("data set", ""))
        row = line.get("method", "")
        return self.find(data, name, row) if (data, name) in self._rows else None

    def find(self, data: str, name: str, row: str) -> Origin | None:
        """The rows of a metric on a data set, of one method or one of ``FLOORS``."""
        mine = self._rows[data, name]
        if row == "chance":
            found, column, how = mine[mine.chance.notna()].head(1), "chance", "what codes without information score"
        elif row in FLOORS:
            found, column, how = mine[mine.fold.eq("shuffled") & mine.value.notna()], "value", "on shuffled labels"
        elif row in self._methods:
            method, variant = self._methods[row]
            found = mine[
                (mine.method == method) & (mine.variant == variant) & mine.fold.eq("mean") & mine.value.notna()
            ]
            column, how = "value", MEAN
        else:
            return None
        return Origin("rows.csv", tuple(int(i) + 2 for i in found.index), column, how) if len(found) else None
