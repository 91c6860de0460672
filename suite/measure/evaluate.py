"""Metrics of a file of codes: anybody's, or what ``suite.measure.encode`` wrote. No model and no torch."""

import os
import platform
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from joblib import parallel_config

from metrics import (
    METRICS,
    Metric,
    Options,
    Ready,
    check_options,
    keep_in,
    metric,
    options_of,
    shuffle_labels,
)
from paramrel.errors import Unsupported, UserError
from paramrel.files import check_replaceable, write_record, write_text
from suite.graph.chain import MADE_OF, check_codes, said_by_npz
from suite.graph.hashing import file_sha256, short_hash
from suite.graph.kernels import blas
from suite.graph.written import parse_yaml
from suite.measure.commit import code
from suite.measure.npz import names_in, read_npz
from suite.measure.shown import Form, shown

NO_ARRAY = "the file has no array"
"""How the reason begins where a file simply does not have what a metric is about."""
LIBRARIES = ("numpy", "scikit-learn", "scipy", "joblib")


def read_codes(path: Path, wanted: Collection[str] | None = None) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays of an .npz file, all or the ``wanted`` ones, and the reasons why others are not in it.

    Raises ``UserError`` for a file that is missing or damaged, and for an array that is no plain one.
    """
    arrays, skipped, refused = _read(path, _there(path) if wanted is None else wanted)
    for reason in refused.values():
        raise UserError(f"{path}: {reason}")
    return arrays, skipped


def _there(path: Path) -> list[str]:
    """Names of the arrays of a file, but for what it says of its origin."""
    return [name for name in names_in(path) if name != MADE_OF]


def _read(path: Path, wanted: Collection[str]) -> tuple[dict[str, np.ndarray], dict[str, str], dict[str, str]]:
    """Wanted arrays; reasons why the method could not make others; reasons why some could not be read."""
    arrays, refused = read_npz(path, {*wanted, *(f"skipped/{name}" for name in wanted)})
    reasons = [name for name in arrays if name.startswith("skipped/")]
    return arrays, {name.removeprefix("skipped/"): str(arrays.pop(name)) for name in reasons}, refused


@dataclass
class Outcome:
    """What became of a metric: what it is ready to measure, a value, or the reason why there is none."""

    metric: Metric
    ready: Ready | None = None
    reason: str = ""
    at_fault: bool = False
    """True if the reason is a fault of the input, and not that the metric is not defined on it."""


def evaluate(
    path: Path,
    names: tuple[str, ...],
    seed: int,
    given: Options | None = None,
    jobs: int = 1,
    shuffled: bool = False,
    kept: Path | None = None,
    missing_label: str | None = None,
) -> dict[str, Any]:
    """Rows of the named metrics (all by default), with the file's hash, library versions, kernels of BLAS and commit.

    ``given`` holds options by family of metrics, ``jobs`` is the number of processes, which no number depends on, and
    ``kept`` the folder where evaluations of other codes find what depends on the data set alone. With ``shuffled``,
    metrics that read labels are measured on shuffled ones (the control), others not at all. Items whose label is
    ``missing_label`` take no part in metrics that read it.

    All arrays are checked before the work. A metric whose arrays are not there or not right, or that is not defined on
    them, gets a row without value and with the reason; the rest is measured. Raises ``UserError`` where nothing can be
    measured because of the input.
    """
    made_by = code()  # before the work, in which the checkout may change
    check_codes(path)
    chosen = _chosen(names, given or {}, shuffled)
    there = _there(path)
    arrays, skipped, refused = _read(path, _wanted(chosen))
    input_sha256 = file_sha256(path)
    y_names = _names(arrays, "y", "y_names", path)
    _names(arrays, "attributes", "attribute_names", path)
    if shuffled:
        arrays = shuffle_labels(arrays, seed)
    outcomes = [_checked(metric, arrays, skipped, refused, missing_label) for metric in chosen]
    _raise_if_nothing(outcomes, path, there, named=bool(names))
    libraries = {library: version(library) for library in LIBRARIES} | {"python": platform.python_version()}
    folder = kept / short_hash([libraries, blas()]) if kept else None
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1), keep_in(folder):
        rows = [_measured(outcome, seed) for outcome in outcomes]
    if all(row["value"] is None for row in rows):
        _raise_if_nothing(outcomes, path, there, named=bool(names))
    return {
        "input": path.name,
        "input_sha256": input_sha256,
        "y_names": y_names,
        "seed": seed,
        "labels": "shuffled" if shuffled else "given",
        **({} if missing_label is None else {"missing_label": missing_label}),
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
            given.setdefault(family, {})[key] = parse_yaml(value, text)
        except UserError:
            raise UserError(f"option {text!r}: {value!r} is no number, word or list") from None
    return given


def _chosen(names: tuple[str, ...], given: Options, shuffled: bool) -> list[Metric]:
    """Metrics with their options. Raises ``UserError`` for unknown names and options."""
    named = dict.fromkeys(names) or tuple(name for name, cls in METRICS.every().items() if cls.by_default)
    check_options(given)
    chosen = [metric(name, options_of(name, given)) for name in named]
    return [metric for metric in chosen if metric.labels] if shuffled else chosen


def _wanted(chosen: Sequence[Metric]) -> set[str]:
    """Names of the arrays that the metrics may read."""
    named = {name for metric in chosen for name in (*metric.needs, *metric.labels, *metric.optional)}
    return named | ({"y_names"} if "y" in named else set())


def _checked(
    metric: Metric,
    arrays: dict[str, np.ndarray],
    skipped: dict[str, str],
    refused: dict[str, str],
    missing_label: str | None,
) -> Outcome:
    """The metric with its arrays checked, or the reason why it cannot be measured."""
    missing = metric.missing(arrays)
    if missing:
        mine = (*metric.needs, *metric.labels)
        fault = next((refused[name] for name in mine if name in refused), "")
        reason = fault or next((skipped[name] for name in mine if name in skipped), "")
        return Outcome(metric, None, reason or f"{NO_ARRAY} {', '.join(missing)}", bool(fault))
    try:
        return Outcome(metric, metric.ready(arrays, missing_label))
    except Unsupported as reason:
        return Outcome(metric, None, str(reason))
    except UserError as error:
        return Outcome(metric, None, str(error), at_fault=True)


def _raise_if_nothing(outcomes: Sequence[Outcome], path: Path, there: Sequence[str], named: bool) -> None:
    """Raises ``UserError`` where no metric is left to measure, and it is the input's fault."""
    if not outcomes or any(outcome.ready for outcome in outcomes):
        return
    at_fault = next((outcome for outcome in outcomes if outcome.at_fault), None)
    if at_fault:
        raise UserError(f"metric {at_fault.metric.name}: {at_fault.reason}")
    if not all(outcome.reason.startswith(NO_ARRAY) for outcome in outcomes):
        return
    first = outcomes[0].metric
    shown = ", ".join(name for name in there if not name.startswith("skipped/")) or "none"
    if named:
        needed = outcomes[0].reason.removeprefix(f"{NO_ARRAY} ")
        raise UserError(f"metric {first.name} needs the array(s) {needed}; the file has {shown}")
    raise UserError(f"{path} has the arrays {shown}: no metric applies; give z and y")


def _measured(outcome: Outcome, seed: int) -> dict[str, Any]:
    """One row: the value, or the reason why there is none, which ``outcome`` then also has."""
    metric, ready = outcome.metric, outcome.ready
    row = {
        "metric": metric.name,
        "metric_version": metric.version,
        "options": metric.config.model_dump(),
        "direction": metric.direction,
        "unit": metric.unit,
    }
    nothing: dict[str, Any] = {"value": None, "n": 0, "folds": [], "chance": None, "extra": {}}
    if ready is None:
        return row | nothing | {"note": outcome.reason}
    try:
        value = metric.measure(ready, seed)
        chance = metric.chance(ready.arrays)
    except (Unsupported, UserError) as reason:
        outcome.ready, outcome.reason, outcome.at_fault = None, str(reason), isinstance(reason, UserError)
        return row | nothing | {"note": outcome.reason}
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


def evaluate_to(
    path: Path, names: tuple[str, ...], seed: int, out: Path, form: Form = "json", **more: Any
) -> dict[str, Any]:
    """``evaluate`` and write the result. Raises ``UserError`` before anything is computed if it cannot be written."""
    nearest = next(folder for folder in out.absolute().parents if folder.exists())
    if out.is_dir() or not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UserError(f"cannot write {out}: name a file in a writable folder")
    check_replaceable(out, link=False)
    if out.exists() and path.exists() and out.samefile(path):
        raise UserError(f"{out} is the file of codes: name another for the results")
    result = evaluate(path, names, seed, **more)
    if form == "json":
        write_record(out, result)
    else:
        write_text(out, shown(result, form))
    return result
