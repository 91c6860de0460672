"""Tables: pure functions of rows.csv (Tables 4, 5, ablations and cost: also of runs.csv).

A maker returns a ``Table``: columns and entries with types, and the notes that belong below it. ``write_table`` writes
it as csv, Markdown and LaTeX; ``paramrel trace`` and the page read the same entries.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from suite.graph.results import TABLE_NAMES
from suite.show.tables.by_data_set import (
    disentanglement_table,
    images_table,
    likelihood_table,
    progressive_table,
    usage_table,
)
from suite.show.tables.comparisons import statistics_table
from suite.show.tables.entries import DASH, Column, Entry, Line, Note, Origin, Styled, Table, arrow, in_words
from suite.show.tables.from_rows import FLOORS, label, measured, method_rows
from suite.show.tables.from_runs import ablations_table, cost_table, table4, table5
from suite.show.tables.paper import table2, table3
from suite.show.tables.write import write_table

__all__ = [
    "DASH",
    "FLOORS",
    "TABLES",
    "Column",
    "Entry",
    "Line",
    "Note",
    "Origin",
    "Styled",
    "Table",
    "arrow",
    "in_words",
    "label",
    "make",
    "measured",
    "method_rows",
    "table2",
    "usage_table",
    "write_table",
    "write_tables",
]

TABLES: dict[str, tuple[str, Callable[..., Table]]] = {
    "table2": ("Table 2: linear probes of the codes", table2),
    "table3": ("Table 3: disentanglement and linear probes of the codes", table3),
    "table4": ("Table 4: sizes of the networks", table4),
    "table5": ("Table 5: settings", table5),
    "latent_usage": ("Latent usage", usage_table),
    "likelihood": ("Likelihood", likelihood_table),
    "disentanglement": ("Disentanglement", disentanglement_table),
    "images": ("Reconstructions, round trips and interpolations", images_table),
    "progressive": ("Codes along the flow", progressive_table),
    "ablations": ("Ablations", ablations_table),
    "statistics": ("Differences between methods", statistics_table),
    "cost": ("Cost", cost_table),
}
"""Caption and maker of every table, by the name of its files. A maker takes the rows; those of ``FROM_RUNS`` also
runs."""

FROM_RUNS = ("table4", "table5", "ablations", "cost")
"""Tables that read runs.csv too; without it they say so."""

assert tuple(TABLES) == TABLE_NAMES


def make(name: str, rows: pd.DataFrame, runs: pd.DataFrame | None) -> Table:
    """One of ``TABLES``."""
    maker = TABLES[name][1]
    more: dict[str, Any] = {"runs": runs} if name in FROM_RUNS else {}
    return maker(rows, **more)


def write_tables(rows: pd.DataFrame, runs: pd.DataFrame | None, preset: str, folder: Path) -> None:
    """Every table into ``folder``, from what ``read_rows`` and ``read_runs`` give."""
    for name, (caption, _) in TABLES.items():
        write_table(make(name, rows, runs), f"{caption} (preset {preset})", folder / name)
