"""What lies below runs/ and state/ and is wanted by no preset any more."""

import shutil
from pathlib import Path

from paramrel.errors import UserError
from suite.graph.cells import cells
from suite.graph.config import Params, resolve
from suite.graph.locks import busy, running
from suite.graph.names import codes_name, control_name, explorer_name, metrics_name, timing_name

EVALUATED = ("codes-*.npz", "timing-*.json", "metrics-*.json", "control-*.json", "explorer-*.npz")


def stale(params: Params, origin: str, runs: Path, state: Path) -> list[Path]:
    """Cells' folders and evaluation files that no preset of the parameter file would use.

    What belongs to a data set of a preset whose data are missing here is kept: it cannot be told what that preset
    wants. So is a cell that a process works on.
    """
    wanted, unknown = _wanted(params, origin)
    found = []
    for root in (runs, state):
        for folder in sorted(root.glob("*/*/seed*-*")):
            path = folder.relative_to(root)
            if path.parts[0] in unknown or path.parts[0] in ("locks", "built"):
                continue
            if busy(state, runs / path):
                continue
            if str(path) not in wanted:
                found.append(folder)
            elif root == runs:
                files = [file for pattern in EVALUATED for file in sorted(folder.glob(pattern))]
                found += [file for file in files if file.name not in wanted[str(path)]]
    return found


def _wanted(params: Params, origin: str) -> tuple[dict[str, set[str]], set[str]]:
    """(cell path -> names of its evaluation files, data sets of presets that cannot be told)."""
    wanted: dict[str, set[str]] = {}
    unknown: set[str] = set()
    for name in params.presets:
        preset = resolve(params, name, origin)
        try:
            chosen = cells(preset)
        except UserError:
            unknown |= set(preset.datasets)
            continue
        names = (codes_name, timing_name, metrics_name, control_name, explorer_name)
        evaluated = {name(preset.evaluate) for name in names}
        for cell in chosen:
            wanted.setdefault(cell.path, set()).update(evaluated)
    return wanted, unknown


def remove(paths: list[Path], state: Path) -> None:
    """Delete files and folders, and folders that are empty then. Raises ``UserError`` while a Snakemake works here: its
    parameter file may be another."""
    if running(state):
        raise UserError("a Snakemake is at work here, perhaps with other parameters: prune when it has ended")
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        parent = path.parent
        while parent.exists() and not any(parent.iterdir()):
            parent.rmdir()
            parent = parent.parent


def size_mib(paths: list[Path]) -> float:
    """How much would be freed."""
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    return sum(file.stat().st_size for file in files) / (1 << 20)
