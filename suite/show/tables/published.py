"""Numbers that others print, with their source and what is wrong with them."""

from functools import cache
from pathlib import Path

import pandas as pd

from suite.show.tables.entries import DASH, Entry, Origin

PUBLISHED = Path(__file__).resolve().parent.parent / "published.csv"
"""One line per printed number: table, data set, method and variant in the names of this project, metric (or, of Tables
4 and 5, setting), value and spread exactly as printed, flag, source, and a note that explains the flag."""

MARKS = {"": "", "another metric": " †", "another data set": " †", "spread": " ‡"}
"""Flags of published.csv, and how entries show them."""


@cache
def published() -> pd.DataFrame:
    """All of published.csv, as text; row i stands on line i + 2."""
    return pd.read_csv(PUBLISHED, dtype=str, keep_default_na=False)


def find(table: str, data: str, metric_name: str, key: tuple[str, str] | None = None) -> pd.DataFrame:
    """The lines of one entry (at most one), or of one column if no method is named."""
    known = published()
    found = known[(known.table == table) & (known.dataset == data) & (known.metric == metric_name)]
    return found if key is None else found[(found.method == key[0]) & (found.variant == key[1])]


def keys(table: str, datasets: list[str]) -> list[tuple[str, str]]:
    """(method, variant) of a printed table's rows, in the order of print."""
    known = published()
    mine = known[(known.table == table) & known.dataset.isin(datasets)]
    return list(mine[["method", "variant"]].drop_duplicates().itertuples(index=False, name=None))


def entry(found: pd.DataFrame) -> Entry:
    """The printed number with its spread and mark, or a dash. Its text is as printed; a spread is no half width."""
    if found.empty:
        return Entry(text=DASH)
    line = found.iloc[0]
    text = f"{line.value} ± {line.spread}" if line.spread else line.value
    how = f"as printed in {line.source}" + (f"; {line.flag}: {line.note}" if line.flag else "")
    origin = Origin("published.csv", (int(found.index[0]) + 2,), "value", how)
    return Entry(_number(line.value), text=text + MARKS[line.flag], origin=origin)


def _number(printed: str) -> float | None:
    """What is printed as a number, or None for words such as "1 2 4"."""
    try:
        return float(printed)
    except ValueError:
        return None


def notes(lines: pd.DataFrame) -> list[str]:
    """What the marks of some published lines stand for."""
    said = []
    for flag, mark in MARKS.items():
        for note in lines[lines.flag == flag].note.drop_duplicates() if flag else ():
            said.append(f"{mark.strip()} {flag if flag != 'spread' else 'the printed ±'}: {note}.")
    if len(lines[lines.spread != ""]):
        said.append(
            "Published: mean ± standard deviation as printed, over five folds (or trials) of one model; it is no "
            "interval "
            f"over seeds and is never marked best. {DASH}: the paper has no such number."
        )
    return said
