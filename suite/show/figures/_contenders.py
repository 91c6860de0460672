"""What figures read of a preset's cells: only the arrays they want, and nothing where a cell is missing or failed."""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from paramrel.data import dataset
from paramrel.errors import UserError
from paramrel.files import read_record
from paramrel.method import methods
from suite.graph.cells import Cell, cells, run_dir, variants
from suite.graph.chain import check_codes
from suite.graph.config import Preset
from suite.graph.names import codes_name, explorer_name, metrics_name
from suite.measure.evaluate import read_codes
from suite.measure.runs import read_log
from suite.show.style import nothing
from suite.show.tables import label

N_NAMED = 8
"""Missing rows of the benchmark that a figure names."""
Key = tuple[str, str, int]
"""Method, variant, and the variant's place among those of the method: what a legend is made of."""


@dataclass(frozen=True)
class Contender:
    """A row of the benchmark on one data set: a method's variant, with a cell for each seed."""

    dataset: str
    key: Key
    cells: tuple[Cell, ...]

    @property
    def method(self) -> str:
        return self.key[0]

    @property
    def order(self) -> int:
        return self.key[2]

    @property
    def label(self) -> str:
        return label(*self.key[:2])

    @property
    def data_title(self) -> str:
        return dataset(self.dataset).title


class Files:
    """The files of a preset's cells below ``runs``. A missing file is no error: it is nothing."""

    def __init__(self, preset: Preset, runs: Path) -> None:
        self.preset, self.runs = preset, runs
        self.fitting: set[str] = set()
        grouped: dict[tuple[str, Key], list[Cell]] = {}
        for cell in cells(preset):
            order = list(variants(preset, cell.method)).index(cell.variant)
            grouped.setdefault((cell.dataset, (cell.method, cell.variant, order)), []).append(cell)
        self.contenders = [Contender(data, key, tuple(found)) for (data, key), found in grouped.items()]

    def datasets(self, contenders: Iterable[Contender]) -> list[str]:
        """Their data sets, in the preset's order."""
        return list(dict.fromkeys(contender.dataset for contender in contenders))

    def codes(self, cell: Cell) -> Path:
        return run_dir(self.runs, cell) / codes_name(self.preset.evaluate)

    def shown(self, contender: Contender) -> Cell | None:
        """The cell that pictures show: the first seed whose codes are there."""
        return next((cell for cell in contender.cells if self.codes(cell).exists()), None)

    def arrays(self, cell: Cell, names: Iterable[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Those of the arrays that are there, and the reasons why others are not (trained methods only)."""
        path = self._checked(cell) / codes_name(self.preset.evaluate)
        if not path.exists():
            return {}, {}
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {name: file[name] for name in names if name in file.files}
                reasons = {name: str(file[f"skipped/{name}"]) for name in names if f"skipped/{name}" in file.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{path} is damaged ({error}): delete it and run snakemake again") from error
        return found, reasons if methods()[cell.method].trained else {}

    def frames(self, cell: Cell) -> dict[str, np.ndarray]:
        """What the report's explorer shows of the cell; of the first seed only."""
        path = self._checked(cell) / explorer_name(self.preset.evaluate)
        return read_codes(path)[0] if path.exists() else {}

    def measured(self, cell: Cell) -> dict[str, dict[str, Any]]:
        """The cell's measured rows by metric."""
        path = self._checked(cell) / metrics_name(self.preset.evaluate)
        rows = read_record(path, "rows")["rows"] if path.exists() else []
        return {row["metric"]: row for row in rows if row["value"] is not None}

    def log(self, cell: Cell) -> pd.DataFrame:
        """The training's log, a line per logged step; empty for what is not trained."""
        return pd.DataFrame(read_log(self._checked(cell)))

    def _checked(self, cell: Cell) -> Path:
        """The cell's folder, once its files were found to be of each other. Raises ``UserError`` where they are not."""
        if cell.path not in self.fitting:
            evaluate = self.preset.evaluate
            check_codes(
                run_dir(self.runs, cell) / codes_name(evaluate), metrics_name(evaluate), explorer_name(evaluate)
            )
            self.fitting.add(cell.path)
        return run_dir(self.runs, cell)

    def nothing(self, reason: str, name: str) -> Figure:
        """A small figure that says why it is empty, and that more may come where a seed has no file ``name``."""
        return nothing(f"{reason}, as far as it was run" if self.missing(name) else reason)

    def missing(self, name: str) -> str:
        """The seeds that have no such file ("codes", "metrics" or "log"), in words; empty if none are missing."""
        files = {
            "codes": codes_name(self.preset.evaluate),
            "metrics": metrics_name(self.preset.evaluate),
            "log": "metrics.jsonl",
        }
        absent = []
        for contender in self.contenders:
            seeds = [
                str(cell.seed) for cell in contender.cells if not (run_dir(self.runs, cell) / files[name]).exists()
            ]
            if seeds:
                absent.append(f"{contender.label} on {contender.data_title} (seed {', '.join(seeds)})")
        more = f"; and {len(absent) - N_NAMED} more" if len(absent) > N_NAMED else ""
        return f"Missing, not trained or failed: {'; '.join(absent[:N_NAMED])}{more}." if absent else ""
