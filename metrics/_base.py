"""The metric seam: what a metric declares, what it takes, what it gives."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from metrics._arrays import SHAPES, Arrays, checked
from paramrel.errors import UserError
from paramrel.settings import Frozen


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


class Metric(ABC):
    """A metric. A new one is one new file here: a subclass with a declaration and ``compute``.

    ``needs`` names the arrays it takes. ``z`` (N, d) codes and ``y`` (N,) or (N, k) integer labels, factors or
    attributes are what anybody has; ``paramrel encode`` writes the others. Where the arrays cannot have the metric
    (binary attributes wanted, classes given) it raises ``Unsupported`` with the reason, which tables show.
    """

    class Config(Frozen):
        """Options; the defaults are the definition."""

    name: ClassVar[str]
    version: ClassVar[int]
    """Raise it when the same arrays would give another value."""
    title: ClassVar[str]
    direction: ClassVar[Literal["higher", "lower", "none"]]
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
    family: ClassVar[str] = ""
    """Whose options it takes, if not its own: metrics that read one computation share them."""
    by_default: ClassVar[bool] = True
    """False: measured only where it is named, never by "all"."""
    source: ClassVar[str]

    def __init__(self, config: Frozen | None = None) -> None:
        self.config = config or self.Config()

    @abstractmethod
    def compute(self, arrays: Arrays, seed: int) -> Value:
        """The value. ``arrays`` holds what ``needs`` names; ``seed`` decides all draws: folds, trees, votes, subsets."""

    def chance(self, arrays: Arrays) -> float | None:
        """What codes without any information score, noise where images are judged; None where that has no meaning."""
        return None

    def missing(self, arrays: Arrays) -> list[str]:
        """Names of the arrays that it would need and that are not there."""
        labels = [] if not self.labels or any(name in arrays for name in self.labels) else [" or ".join(self.labels)]
        return list(dict.fromkeys([name for name in self.needs if name not in arrays] + labels))

    def __call__(self, arrays: Arrays, seed: int = 0) -> Value:
        """``compute`` with checked input.

        Raises ``UserError`` for missing, ill-shaped or non-finite arrays, and ``Unsupported`` where the arrays are
        sound and the metric is not defined on them.
        """
        missing = self.missing(arrays)
        if missing:
            raise UserError(
                f"metric {self.name} needs the array(s) {', '.join(missing)}; the file has {', '.join(arrays) or 'none'}"
            )
        labels = next(([name] for name in self.labels if name in arrays), [])
        names = dict.fromkeys((*self.needs, *labels))
        try:
            read = checked({name: arrays[name] for name in names}, self.shapes, words=(*self.text, *self.labels))
            with threadpool_limits(1):  # threads of a small matrix product wait for each other; cores are for joblib
                result = self.compute(dict(arrays) | read, seed)
        except UserError as error:
            raise UserError(f"metric {self.name}: {error}") from error
        if not np.isfinite(result.value):
            raise UserError(
                f"metric {self.name} is {result.value} on this input: {result.note or 'no value is defined'}"
            )
        return result
