"""The metric seam: what a metric declares, what it takes, what it gives."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast

import numpy as np
from threadpoolctl import threadpool_limits

from metrics._arrays import SHAPES, Arrays, absent, check_shapes, check_values, plain
from metrics._labels import LABELS, from_one_hot, from_signs, joined, normalised, without_missing
from paramrel.errors import Unsupported, UserError
from paramrel.settings import Frozen

ROUNDING = 1e-6
"""By how much rounding may take a value out of its range; it is then the end of the range."""


@dataclass(frozen=True)
class Ready:
    """Arrays as a metric takes them: checked, labels in one form; and what a reader must know about that."""

    arrays: dict[str, np.ndarray]
    note: str = ""


@dataclass(frozen=True)
class Value:
    """A measured value, the number of items it is over, the values of its folds, and what a reader must know.

    ``extra`` holds what lies behind the number, for figures: plain lists and strings (importance matrix, AUROC
    matrix, a curve). None stands where a number is not defined.
    """

    value: float
    n: int
    folds: tuple[float, ...] = ()
    note: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


Direction = Literal["higher", "lower", "none"]


class NoConfig(Frozen):
    """Options of a metric that has none."""


C = TypeVar("C", bound=Frozen)
"""Type of a metric's options: its ``Config``."""


class Metric(ABC, Generic[C]):
    """A metric. A new one is one new file here: a subclass with a declaration and ``compute``.

    ``needs`` names the arrays it takes. ``z`` (N, d) codes and ``y`` (N,) or (N, k) integer labels, factors or
    attributes are what anybody has; ``paramrel encode`` writes the others. Where the arrays cannot have the metric
    (binary attributes wanted, classes given) it raises ``Unsupported`` with the reason, which tables show.
    """

    Config: ClassVar[type[Frozen]] = NoConfig
    """Options; the defaults are the definition."""

    name: ClassVar[str]
    version: ClassVar[int]
    """Raise it when the same arrays would give another value."""
    title: ClassVar[str]
    direction: ClassVar[Direction]
    """Which way is better; none for a description."""
    range: ClassVar[tuple[float, float]]
    unit: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]]
    labels: ClassVar[tuple[str, ...]] = ()
    """Label arrays that it reads: the first that is there counts, one must be. The control shuffles their rows."""
    shapes: ClassVar[Mapping[str, str]] = SHAPES
    """Shapes of what it reads; arrays without an entry are its own affair."""
    text: ClassVar[tuple[str, ...]] = ()
    """Arrays of ``needs`` that hold words."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Arrays that it also reads where they are there: names of label columns."""
    family: ClassVar[str] = ""
    """Whose options it takes, if not its own: metrics that read one computation share them."""
    places: ClassVar[Mapping[str, int]] = {}
    """The tables that it stands in, by the names of their files, and its place there: columns go from the lowest number
    to the highest. ``headline`` is the first table of the page. (Tables 2 and 3 have the columns of the paper.)"""
    digits: ClassVar[int] = 3
    """Decimals that tables show."""
    unranked: ClassVar[str] = ""
    """Why no method is marked as the best in it, though one direction is better; empty where one is."""
    by_default: ClassVar[bool] = True
    """False: measured only where it is named, never by "all"."""
    source: ClassVar[str]

    def __init__(self, config: C | None = None) -> None:
        self.config = config if config is not None else cast(C, self.Config())

    @abstractmethod
    def compute(self, arrays: Arrays, seed: int) -> Value:
        """The value. ``arrays`` holds what ``needs`` names; ``seed`` decides all draws: folds, trees, votes,
        subsets."""

    def chance(self, arrays: Arrays) -> float | None:
        """What codes without any information score, noise where images are judged; None where that has no meaning."""
        return None

    def missing(self, arrays: Arrays) -> list[str]:
        """Names of the arrays that it would need and that are not there."""
        labels = [] if not self.labels or any(name in arrays for name in self.labels) else [" or ".join(self.labels)]
        return list(dict.fromkeys([name for name in self.needs if name not in arrays] + labels))

    def __call__(self, arrays: Arrays, seed: int = 0, missing_label: str | float | None = None) -> Value:
        """``measure`` of what is ``ready``.

        Raises ``UserError``, with the metric's name, for input that cannot be right, and ``Unsupported`` where the
        input is sound and the metric is not defined on it.
        """
        try:
            return self.measure(self.ready(arrays, missing_label), seed)
        except UserError as error:
            raise UserError(f"metric {self.name}: {error}") from error

    def ready(self, arrays: Arrays, missing_label: str | float | None = None) -> Ready:
        """The arrays that it reads, checked and with labels in one form; nothing is computed yet.

        Items whose label is ``missing_label`` are left out. Raises ``UserError`` for arrays that are missing,
        ill-shaped, of another type, not finite, or outside of the domain of their name, ``Unsupported`` for labels of
        no column.
        """
        missing = self.missing(arrays)
        if missing:
            raise UserError(absent(missing, list(arrays)))
        label = next(([name] for name in self.labels if name in arrays), [])
        names = tuple(dict.fromkeys((*self.needs, *label)))
        labels = tuple(name for name in names if name in (*LABELS, *self.labels))
        for name in labels:
            if np.ndim(arrays[name]) == 2 and np.shape(arrays[name])[1] == 0:
                raise Unsupported(f"{name} has no columns: nothing is labelled")
        read = {name: plain(name, arrays[name], name in (*self.text, *labels)) for name in names}
        check_shapes(read, self.shapes)
        read, dropped = without_missing(read, labels, missing_label, self.shapes)
        for name, array in read.items():
            check_values(name, array, self.shapes)
        read, one_hot = from_one_hot(from_signs(read | {name: normalised(read[name]) for name in labels}))
        names = () if one_hot else tuple(name for name in self.optional if name in arrays)
        return Ready(read | {name: np.asarray(arrays[name]) for name in names}, joined(dropped, one_hot))

    def measure(self, ready: Ready, seed: int) -> Value:
        """The value of what is ready, inside the metric's range. Raises ``UserError`` where it comes out of it."""
        with threadpool_limits(1):  # threads of a small matrix product wait for each other; cores are for joblib
            result = self.compute(ready.arrays, seed)
        folds = tuple(self._in_range(fold, result.note) for fold in result.folds)
        return replace(
            result, value=self._in_range(result.value, result.note), folds=folds, note=joined(result.note, ready.note)
        )

    def _in_range(self, value: float, note: str) -> float:
        low, high = self.range
        if not np.isfinite(value):
            raise UserError(f"it is {value} on this input: {note or 'no value is defined'}")
        if not low - ROUNDING <= value <= high + ROUNDING:
            raise UserError(f"it is {value:.6g}, outside of its range [{low:g}, {high:g}]: the input cannot be right")
        return min(max(value, low), high)
