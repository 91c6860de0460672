"""runs.csv: the trainings behind the rows, one line per cell. Not the same in any two runs: it holds seconds."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field, Json

from paramrel.data import dataset
from paramrel.errors import UserError
from paramrel.files import write_text
from paramrel.method import method
from paramrel.settings import Frozen
from suite.graph.cells import Cell
from suite.graph.chain import check as check_files
from suite.measure.checked_csv import check, read_csv
from suite.measure.commit import in_words
from suite.measure.provenance import parameters_by_part

Count = Annotated[int, Field(ge=0)] | None
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
Text = str | None


class Run(Frozen):
    """One line of runs.csv; the order of fields is that of columns. Empty: it does not apply, or the file is older."""

    dataset: str
    method: str
    variant: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)]
    cell: Annotated[str, Field(pattern="^[0-9a-f]{10}$")]
    """Hash of the resolved configuration: the key of rows.csv, and the end of the run's folder."""
    parameters: Count
    parameters_encoder: Count
    parameters_decoder: Count
    seconds: Amount
    """Of the training, wall-clock."""
    peak_memory_mib: Amount
    peak_gpu_memory_mib: Amount
    sampling_seconds_per_image: Amount
    steps: Count
    """Empty, as the next three, for what is not trained."""
    batch_size: Count
    epochs: Amount
    """Passes over the training images."""
    learning_rate: Amount
    channels: Count
    multipliers: Annotated[str, Field(pattern=r"^\d+( \d+)*$")] | None
    latent_dim: Count
    settings: Json[dict[str, Any]] | None
    """All that a variant can set."""
    commit: Text
    dirty: bool | None
    """Whether the code had uncommitted changes."""
    encoded_by: Text
    """Code that made the codes, and below that measured them, in words; empty, as ``blas``, where that is older than
    the record."""
    measured_by: Text
    blas: Text
    """Kernels under the probes (``suite.graph.kernels``)."""
    lock_sha256: Annotated[str, Field(pattern="^([0-9a-f]{12})$")] | None
    processor: Text
    capability: Text
    """Vector instructions that torch uses."""
    threads: Count
    device: Text
    python: Text
    torch: Text
    numpy: Text
    scikit_learn: Annotated[Text, Field(alias="scikit-learn")]


RUN_COLUMNS = tuple(field.alias or name for name, field in Run.model_fields.items())
KEY = ("dataset", "method", "variant", "seed", "cell")
EMPTY = tuple(column for column in RUN_COLUMNS if column not in KEY)


def read_runs(path: Path) -> pd.DataFrame:
    """Read runs.csv, everything as text; line i + 2 is row i. Columns that an older file has not are empty.

    Raises ``UserError`` where it is missing, or naming what is wrong.
    """
    runs = read_csv(path)
    if set(KEY) <= set(runs.columns) <= set(RUN_COLUMNS):
        runs = runs.reindex(columns=list(RUN_COLUMNS), fill_value="")
    check(runs, str(path), Run, KEY, EMPTY)
    return runs


def write_runs(runs: pd.DataFrame, path: Path) -> None:
    """Write runs.csv. Raises ``UserError`` for a line that is not as ``Run`` says."""
    shown = runs.astype(object).where(runs.notna(), "")
    check(shown, str(path), Run, KEY, EMPTY)
    write_text(path, shown.to_csv(index=False, lineterminator="\n"))


def uncommitted(runs: pd.DataFrame | None) -> list[str]:
    """What a reader must know of runs whose code is in no commit, in words; nothing if there are none."""
    if runs is None or runs.empty:
        return []
    n = int((runs.dirty == "True").sum())
    return [f"{n} of {len(runs)} runs were made by code with uncommitted changes"] if n else []


def run_line(cell: Cell, record: dict[str, Any], timing: dict[str, Any], measured: dict[str, Any]) -> dict[str, Any]:
    """The line of a cell, from its run.json and, as far as they are there, the files of timing and metrics."""
    resolved = record["resolved"]
    train = resolved["train"] or {}
    images = train["steps"] * train["batch_size"] if train else None
    parts = _parts(replace(cell, seed=0))
    return {
        "dataset": cell.dataset,
        "method": cell.method,
        "variant": cell.variant,
        "seed": cell.seed,
        "cell": cell.hash,
        "parameters": record["parameters"],
        "parameters_encoder": parts.get("encoder"),
        "parameters_decoder": parts.get("decoder"),
        "seconds": record["seconds"],
        "peak_memory_mib": record["peak_memory_mib"],
        "peak_gpu_memory_mib": record.get("peak_gpu_memory_mib"),
        "sampling_seconds_per_image": timing.get("sampling_seconds_per_image"),
        **{key: train.get(key) for key in ("steps", "batch_size", "learning_rate")},
        "epochs": f"{images / dataset(cell.dataset).size('train'):.3g}" if images else None,
        "channels": resolved["network"]["channels"],
        "multipliers": " ".join(map(str, resolved["network"]["multipliers"])),
        "latent_dim": resolved["network"]["latent_dim"],
        "settings": json.dumps(_settings(cell), sort_keys=True),
        "commit": record["code"]["commit"],
        "dirty": record["code"]["dirty"],
        "encoded_by": in_words(timing["code"]) if "code" in timing else None,
        "measured_by": in_words(measured["code"]) if "code" in measured else None,
        "blas": measured.get("blas"),
        "lock_sha256": (record["lock_sha256"] or "")[:12],
        **{key: record["machine"][key] for key in ("processor", "capability", "threads", "device")},
        **{key: record["libraries"][key] for key in ("python", "torch", "numpy", "scikit-learn")},
    }


def read_log(run: Path) -> list[dict[str, Any]]:
    """Lines of a training's log; none for what is not trained, or not there. Raises ``UserError`` where it is damaged
    or not the log that run.json knows."""
    path = run / "metrics.jsonl"
    check_files(run, "run.json", path.name)
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): remove {run} and run snakemake again") from error


def _settings(cell: Cell) -> dict[str, Any]:
    """All that a variant can set: the method's own by their names, the others as ``network.NAME`` and
    ``train.NAME``."""
    parts = {"network": cell.network, "train": cell.train} if method(cell.method).trained else {}
    dumped = {name: part.model_dump(mode="json") for name, part in parts.items()}
    return cell.config.model_dump(mode="json") | {
        f"{n}.{key}": v for n, part in dumped.items() for key, v in part.items()
    }


@cache
def _parts(cell: Cell) -> dict[str, int]:
    """Parameters of the parts of a cell's method."""
    return parameters_by_part(cell)
