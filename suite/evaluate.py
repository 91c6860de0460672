"""Metrics of a file of codes: anybody's, or what ``suite.encode`` wrote. No model and no torch."""

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from metrics import metric, metrics
from paramrel.errors import UserError
from paramrel.files import write_json

LIBRARIES = ("numpy", "scikit-learn", "scipy")


def read_codes(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays of an .npz file, and the reasons why others are not in it.

    ``z`` (N, d) and ``y`` (N,) or (N, k) are what anybody has; ``y_names`` (k,) is optional. Raises ``UserError``
    for a file that is missing, damaged, or holds pickled objects.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist: name an .npz file with the arrays z (N, d) and y (N,)") from error
    except Exception as error:  # numpy and zipfile raise many kinds for damaged files
        raise UserError(
            f"{path} is no readable .npz file of plain arrays ({error}): write it with numpy.savez"
        ) from error
    reasons = [name for name in arrays if name.startswith("skipped/")]
    return arrays, {name.removeprefix("skipped/"): str(arrays.pop(name)) for name in reasons}


def evaluate(path: Path, names: tuple[str, ...], seed: int) -> dict[str, Any]:
    """Rows of the named metrics (all that apply, if none is named), with the file's hash and library versions.

    A metric whose arrays the method could not make gets a row without value and with the reason; one whose arrays
    are simply not there is a ``UserError`` if it was named.
    """
    arrays, skipped = read_codes(path)
    y_names = _y_names(arrays, path)
    rows = []
    for name in names or tuple(metrics()):
        chosen = metric(name)
        reasons = [skipped[need] for need in chosen.needs if need in skipped]
        absent = any(need not in arrays for need in chosen.needs)
        if reasons:
            rows.append(_row(chosen, None, 0, note=reasons[0]))
        elif names or not absent:
            value = chosen(arrays, seed)
            chance = chosen.chance(arrays)
            rows.append(_row(chosen, value.value, value.n, value.folds, chance, value.note))
    if not rows:
        raise UserError(f"{path} has the arrays {', '.join(arrays) or 'none'}: no metric applies; give z and y")
    libraries = {library: version(library) for library in LIBRARIES} | {"python": platform.python_version()}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "input": path.name,
        "y_names": y_names,
        "input_sha256": digest,
        "seed": seed,
        "libraries": libraries,
        "rows": rows,
    }


def _y_names(arrays: dict[str, np.ndarray], path: Path) -> list[str] | None:
    """Names of the label columns, if the file has them. Raises ``UserError`` unless there is one per column."""
    names = arrays.pop("y_names", None)
    if names is None:
        return None
    labels = arrays.get("y", np.empty(0))
    n_columns = 1 if labels.ndim == 1 else labels.shape[1]
    if len(names.ravel()) != n_columns:
        raise UserError(
            f"{path}: y has {n_columns} column(s) but y_names has {len(names.ravel())}: give one per column"
        )
    return [str(name) for name in names.ravel()]


def evaluate_to(path: Path, names: tuple[str, ...], seed: int, out: Path) -> dict[str, Any]:
    """``evaluate`` and write the result as JSON."""
    result = evaluate(path, names, seed)
    write_json(out, result)
    return result


def _row(chosen: Any, value: float | None, n: int, folds: tuple[float, ...] = (), chance: float | None = None, note: str = "") -> dict[str, Any]:  # fmt: skip
    return {
        "metric": chosen.name,
        "metric_version": chosen.version,
        "value": value,
        "n": n,
        "folds": list(folds),
        "direction": chosen.direction,
        "unit": chosen.unit,
        "chance": chance,
        "note": note,
    }
