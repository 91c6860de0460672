"""Metrics of a file of codes: anybody's, or what ``suite.measure.encode`` wrote. No model and no torch."""

import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from joblib import parallel_config

from metrics import Metric, Options, check_options, keep_in, metric, metrics, options_of, shuffle_labels
from paramrel.errors import Unsupported, UserError
from paramrel.files import check_replaceable, write_record
from suite.graph.chain import MADE_OF, check_codes, said_by_npz
from suite.graph.hashing import file_sha256, short_hash
from suite.graph.kernels import blas
from suite.measure.commit import code

LIBRARIES = ("numpy", "scikit-learn", "scipy", "joblib")


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
    arrays.pop(MADE_OF, None)
    reasons = [name for name in arrays if name.startswith("skipped/")]
    return arrays, {name.removeprefix("skipped/"): str(arrays.pop(name)) for name in reasons}


def evaluate(
    path: Path, names: tuple[str, ...], seed: int, given: Options | None = None, jobs: int = 1, shuffled: bool = False,
    kept: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Rows of the named metrics (all by default), with the file's hash, library versions, kernels of BLAS and commit.

    ``given`` holds options by family of metrics, ``jobs`` is the number of processes, which no number depends on, and
    ``kept`` the folder where evaluations of other codes find what depends on the data set alone.
    With ``shuffled``, metrics that read labels are measured on shuffled ones (the control), others not at all.
    A metric that is not defined on the file, or whose arrays it does not have, gets a row without value and with the
    reason. Raises ``UserError`` where the file has the arrays of no metric at all.
    """
    made_by = code()  # before the work, in which the checkout may change
    check_codes(path)
    arrays, skipped = read_codes(path)
    input_sha256 = file_sha256(path)
    y_names = _names(arrays, "y", "y_names", path)
    _names(arrays, "attributes", "attribute_names", path)
    chosen = _chosen(names, given or {}, shuffled)
    if shuffled:
        arrays = shuffle_labels(arrays, seed)
    if chosen and all(metric.missing(arrays) and not _reason(metric, skipped) for metric in chosen):
        if names:
            chosen[0](arrays, seed)  # says what is missing
        raise UserError(f"{path} has the arrays {', '.join(arrays) or 'none'}: no metric applies; give z and y")
    libraries = {library: version(library) for library in LIBRARIES} | {"python": platform.python_version()}
    folder = kept / short_hash([libraries, blas()]) if kept else None
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1), keep_in(folder):
        rows = [_measure(metric, arrays, skipped, seed) for metric in chosen]
    return {
        "input": path.name,
        "input_sha256": input_sha256,
        "y_names": y_names,
        "seed": seed,
        "labels": "shuffled" if shuffled else "given",
        "libraries": libraries,
        "blas": blas(),
        "code": made_by,
        "rows": [row | {"libraries": libraries} for row in rows],
        MADE_OF: said_by_npz(path),
    }


def parse_options(written: Sequence[str]) -> dict[str, dict[str, Any]]:
    """``("dci.n_trees=40",)`` to ``{"dci": {"n_trees": 40}}``. Raises ``UserError`` for another form."""
    given: dict[str, dict[str, Any]] = {}
    for text in written:
        match = re.fullmatch(r"(\w+)\.(\w+)=(.+)", text)
        if match is None:
            raise UserError(f"option {text!r} must look like dci.n_trees=40: METRIC.OPTION=VALUE")
        family, key, value = match.groups()
        try:
            given.setdefault(family, {})[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"option {text!r}: {value!r} is no number, word or list") from None
    return given


def _chosen(names: tuple[str, ...], given: Options, shuffled: bool) -> list[Metric]:
    """Metrics with their options. Raises ``UserError`` for unknown names and options."""
    named = dict.fromkeys(names) or tuple(name for name, cls in metrics().items() if cls.by_default)
    check_options(given)
    chosen = [metric(name, options_of(name, given)) for name in named]
    return [metric for metric in chosen if metric.labels] if shuffled else chosen


def _measure(metric: Metric, arrays: dict[str, np.ndarray], skipped: dict[str, str], seed: int) -> dict[str, Any]:
    """One row: the value, or the reason why there is none."""
    row = {
        "metric": metric.name,
        "metric_version": metric.version,
        "options": metric.config.model_dump(),
        "direction": metric.direction,
        "unit": metric.unit,
    }
    nothing = {"value": None, "n": 0, "folds": [], "chance": None, "extra": {}}
    missing = metric.missing(arrays)
    if missing:
        return row | nothing | {"note": _reason(metric, skipped) or f"the file has no array {', '.join(missing)}"}
    try:
        value = metric(arrays, seed)
        chance = metric.chance(arrays)
    except Unsupported as reason:
        return row | nothing | {"note": str(reason)}
    changed = metric.config.model_dump(exclude_defaults=True)
    note = "; ".join([value.note] * bool(value.note) + [f"{key} = {setting}" for key, setting in changed.items()])
    return row | {
        "value": value.value,
        "n": value.n,
        "folds": list(value.folds),
        "chance": chance,
        "note": note,
        "extra": value.extra,
    }


def _reason(metric: Metric, skipped: dict[str, str]) -> str | None:
    """Why the method could not make what the metric needs."""
    return next((skipped[name] for name in (*metric.needs, *metric.labels) if name in skipped), None)


def _names(arrays: dict[str, np.ndarray], labels: str, key: str, path: Path) -> list[str] | None:
    """Names of label columns, if the file has them. Raises ``UserError`` unless there is one per column."""
    names = arrays.get(key)
    if names is None:
        return None
    columns = arrays.get(labels, np.empty(0))
    n_columns = columns.shape[1] if columns.ndim == 2 else 1
    if len(names.ravel()) != n_columns:
        raise UserError(
            f"{path}: {labels} has {n_columns} column(s) but {key} has {len(names.ravel())}: give one per column"
        )
    return [str(name) for name in names.ravel()]


def evaluate_to(path: Path, names: tuple[str, ...], seed: int, out: Path, **more: Any) -> dict[str, Any]:
    """``evaluate`` and write the result as JSON. Raises ``UserError`` before anything is computed if it cannot be."""
    nearest = next(folder for folder in out.absolute().parents if folder.exists())
    if out.is_dir() or not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UserError(f"cannot write {out}: name a file in a writable folder")
    check_replaceable(out, link=False)
    if out.exists() and path.exists() and out.samefile(path):
        raise UserError(f"{out} is the file of codes: name another for the results")
    result = evaluate(path, names, seed, **more)
    write_record(out, result)
    return result
