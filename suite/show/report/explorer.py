"""The explorer's part of the page: sprites of the frames that ``paramrel explore`` rendered."""

from pathlib import Path
from typing import Any

import numpy as np

from paramrel.data import dataset
from suite.graph.cells import Cell
from suite.graph.chain import check_codes
from suite.graph.config import Evaluate
from suite.graph.names import codes_name, explorer_name
from suite.measure.evaluate import read_codes
from suite.show.report.embedded import Quality, sprite
from suite.show.tables import label

N_COLUMNS = 11


def explorer(
    frames: list[tuple[Cell, Path]], evaluate: Evaluate, quality: Quality
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """(methods with their sprites, (method, reason) of those without). ``frames``: cells and their folders."""
    shown, reasons = [], []
    for cell, run in frames:
        path = run / explorer_name(evaluate)
        of = f"{label(cell.method, cell.variant)} on {dataset(cell.dataset).title}"
        if not path.exists():
            reasons.append((of, f"{path.name} is not there: run snakemake"))
            continue
        check_codes(run / codes_name(evaluate), path.name)
        arrays, skipped = read_codes(path)
        if "traversed" in arrays:
            shown.append(_method(cell, arrays, skipped.get("along", ""), quality))
        else:
            reasons.append((of, skipped["traversed"]))
    return shown, reasons


def _method(cell: Cell, arrays: dict[str, np.ndarray], why_not_along: str, quality: Quality) -> dict[str, Any]:
    """One method: for each source a sprite of source, own rendering, z_s for each s, then every latent's stops."""
    n_sources = min(quality.n_sources, len(arrays["source"]))
    moved = arrays["traversed"]
    change = np.abs(moved[:, :, -1].astype(int) - moved[:, :, 0]).mean((0, *range(2, moved.ndim - 1))) / 255
    order = np.argsort(-change, kind="stable")
    along = arrays.get("along", moved[:, :0, 0])
    sources = []
    for i in range(n_sources):
        parts = [
            arrays["source"][i : i + 1],
            arrays["own"][i : i + 1],
            along[i],
            moved[i, order].reshape(-1, *moved.shape[3:]),
        ]
        picture = sprite(np.concatenate(parts), N_COLUMNS, quality)
        sources.append(
            {
                "label": str(arrays["source_labels"][i]),
                "own": [round(float(value), 2) for value in arrays["own_at"][i, order]],
                "uri": picture.uri,
                "side": [picture.width // N_COLUMNS, picture.height // -(-sum(map(len, parts)) // N_COLUMNS)],
            }
        )
    return {
        "data": dataset(cell.dataset).title,
        "method": label(cell.method, cell.variant),
        "seed": cell.seed,
        "dims": [int(dim) for dim in arrays["dims"][order]],
        "change": [round(float(value), 4) for value in change[order]],
        "stops": moved.shape[2],
        "along": [float(s) for s in arrays.get("along_s", ())],
        "why": why_not_along,
        "sources": sources,
        "columns": N_COLUMNS,
    }
