"""Labels as people have them: classes, factors, attributes; numbers, words, -1 and 1, one-hot."""

from collections.abc import Mapping

import numpy as np

from metrics._arrays import Arrays, rows_of
from paramrel.errors import UserError

CLASS_LABELS = ("y", "y_test", "probe_y")
"""Label arrays that may be one-hot."""
LABELS = (*CLASS_LABELS, "attributes")
"""Arrays that hold labels, and therefore may hold words."""
FEWEST_ONE_HOT = 10
"""Fewer rows may be one-hot by chance."""


def without_missing(
    arrays: Arrays, names: tuple[str, ...], marker: str | float | None, shapes: Mapping[str, str]
) -> tuple[dict[str, np.ndarray], str]:
    """The arrays without the items of which one of the label arrays ``names`` holds ``marker``, and a note.

    ``marker``: a number, a word, or "nan". None: nothing is missing. Raises ``UserError`` where no item is left.
    """
    kept, notes = dict(arrays), []
    for name in names if marker is not None else ():
        keep = np.asarray(~_is_marker(columns(kept[name]), str(marker)).any(1))
        if not keep.any():
            raise UserError(f"every item of {name} has a missing label ({marker})")
        if not keep.all():
            notes.append(f"{int((~keep).sum())} of {len(keep)} items without a label in {name} left out")
            kept = rows_of(kept, shapes[name].split()[0], keep, shapes)
    return kept, "; ".join(notes)


def _is_marker(labels: np.ndarray, marker: str) -> np.ndarray:
    if labels.dtype.kind == "U":
        return np.char.lower(labels) == marker.lower()
    if marker.lower() == "nan":
        return np.isnan(labels) if labels.dtype.kind == "f" else np.zeros(labels.shape, bool)
    try:
        return labels == float(marker)
    except ValueError:
        return np.zeros(labels.shape, bool)


def normalised(labels: np.ndarray) -> np.ndarray:
    """The same labels in one form: booleans and whole floats as int64. Words, numbers with fractions, and numbers that
    int64 does not hold exactly stay as they are."""
    if labels.dtype.kind == "U":
        return labels
    if labels.dtype.kind == "b" or (
        labels.dtype.kind == "f" and (labels == np.round(labels)).all() and (abs(labels) < 2**53).all()
    ):
        labels = labels.astype(np.int64)
    return labels


def from_signs(arrays: Arrays) -> dict[str, np.ndarray]:
    """The arrays with labels of -1 and 1 (CelebA's form) as 0 and 1.

    Label arrays of one vocabulary (``y_test`` and ``probe_y``) are taken so if each holds -1 and 1, or 0 and 1, and
    nothing else: three values in one of them are three classes in all.
    """
    found = dict(arrays)
    for group in (CLASS_LABELS, *((name,) for name in LABELS if name not in CLASS_LABELS)):
        mine = [name for name in group if name in found and found[name].dtype.kind == "i"]
        if all(np.isin(found[name], (-1, 1)).all() or np.isin(found[name], (0, 1)).all() for name in mine):
            found |= {name: (found[name] > 0).astype(np.int64) for name in mine}
    return found


def from_one_hot(arrays: Arrays) -> tuple[dict[str, np.ndarray], str]:
    """The arrays with one-hot label arrays as classes, and a note.

    Label arrays of one vocabulary (``y_test`` and ``probe_y``) are all taken so, or none is.
    """
    mine = [name for name in CLASS_LABELS if name in arrays]
    if not mine or not all(_is_one_hot(arrays[name]) for name in mine):
        return dict(arrays), ""
    note = f"{' and '.join(mine)}: one-hot, taken as {arrays[mine[0]].shape[1]} classes"
    return dict(arrays) | {name: arrays[name].argmax(1) for name in mine}, note


def _is_one_hot(labels: np.ndarray) -> bool:
    """True for (N, k) of 0 and 1 with a single 1 in every row, k >= 2."""
    if labels.ndim != 2 or labels.shape[1] < 2 or len(labels) < FEWEST_ONE_HOT or labels.dtype.kind == "U":
        return False
    return bool(np.isin(labels, (0, 1)).all() and (labels.sum(1) == 1).all())


def columns(y: np.ndarray) -> np.ndarray:
    """Labels as (N, k): a vector becomes one column."""
    return y[:, None] if y.ndim == 1 else y


def by_appearance(labels: np.ndarray) -> np.ndarray:
    """(N,) labels as 0..c-1 in order of first appearance: the same whatever the classes are called."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def varying(y: np.ndarray) -> np.ndarray:
    """Indices of the columns of y (N, k) that are not constant."""
    return np.flatnonzero((y != y[:1]).any(0))


def constant_note(y: np.ndarray) -> str:
    """What a reader must know about constant columns of y (N, k)."""
    n_constant = y.shape[1] - len(varying(y))
    return f"{n_constant} constant label column(s) left out" if n_constant else ""


def joined(*notes: str) -> str:
    """Notes that are not empty, one after the other."""
    return "; ".join(note for note in notes if note)


def check_discrete(labels: np.ndarray, column: int) -> None:
    """Raises ``UserError`` for (N,) labels of which more than half are different: a measurement, or a running
    number."""
    n_values = len(np.unique(labels))
    if n_values > len(labels) / 2:
        raise UserError(
            f"label column {column} has {n_values} different values for {len(labels)} items: it is no class or factor; "
            "bin it (numpy.digitize), give more items, or leave it out"
        )
