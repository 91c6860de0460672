"""What stands behind each number of the page: lines of rows.csv, runs.csv or published.csv, which it shows on click."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from suite.show.tables import Entry, Origin
from suite.show.tables.published import published

FIRST_LINE = 2
"""Row i of a file stands on line i + 2."""


class Origins:
    """Collects what entries of the page's tables stand for; ``groups`` and ``lines`` are what the page holds of it."""

    def __init__(self, rows: pd.DataFrame, runs: pd.DataFrame | None) -> None:
        self.groups: list[dict[str, Any]] = []
        self._numbers: dict[Origin, int] = {}
        self._files = {"rows.csv": rows, "runs.csv": runs, "published.csv": published()}
        self._folds = dict(list(rows[rows.fold.str.isdigit()].groupby(["cell", "metric"])))

    def of(self, entry: Entry) -> int | None:
        """Number of the group behind one entry of a table; None where it holds no number."""
        origin = entry.origin
        if origin is None:
            return None
        if origin not in self._numbers:
            self._numbers[origin] = len(self.groups)
            self.groups.append(
                {
                    "how": origin.how,
                    "file": origin.file,
                    "column": origin.column,
                    "lines": list(origin.lines),
                    "minus": list(origin.minus),
                }
            )
        return self._numbers[origin]

    def lines(self) -> dict[str, dict[int, dict[str, Any]]]:
        """file -> line -> what stands there, of all lines that a group names. Rows come with the values of their
        folds."""
        found: dict[str, dict[int, dict[str, Any]]] = {"rows.csv": {}, "runs.csv": {}, "published.csv": {}}
        for group in self.groups:
            known = found.setdefault(group["file"], {})
            for line in (*group["lines"], *group["minus"]):
                if line not in known:
                    known[line] = self._line(group["file"], line)
        return found

    def _line(self, file: str, line: int) -> dict[str, Any]:
        row = self._files[file].loc[line - FIRST_LINE]
        said = {str(key): _plain(value) for key, value in row.items()}
        if file == "rows.csv" and row.fold == "mean" and (row.cell, row.metric) in self._folds:
            said["folds"] = [_plain(value) for value in self._folds[row.cell, row.metric].value]
        return said

    def cells(self) -> Iterable[str]:
        """Hashes of the cells behind the groups."""
        lines = self.lines()
        return dict.fromkeys(row["cell"] for file in ("rows.csv", "runs.csv") for row in lines[file].values())


def _plain(value: Any) -> Any:
    """A value as JSON has it; None for NaN."""
    if isinstance(value, str):
        return value
    return None if pd.isna(value) else value.item() if hasattr(value, "item") else value
