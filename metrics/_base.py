"""The metric seam: what a metric declares, what it takes, what it gives."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from paramrel.errors import UserError
from paramrel.settings import Frozen

Arrays = Mapping[str, np.ndarray]


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
    family: ClassVar[str] = ""
    """Whose options it takes, if not its own: metrics that read one computation share them."""
    by_default: ClassVar[bool] = True
    """False: measured only where it is named, never by "all"."""
    source: ClassVar[str]

    def __init__(self, config: Frozen | None = None) -> None:
        self.config = config or self.Config()

    @abstractmethod
    def compute(self, arrays: Arrays, seed: int) -> Value:
        """The value. ``arrays`` holds what ``needs`` names; ``seed`` decides folds and nothing else."""

    def chance(self, arrays: Arrays) -> float | None:
        """What codes without any information score, or None where that has no meaning."""
        return None

    def missing(self, arrays: Arrays) -> list[str]:
        """Names of the arrays that it would need and that are not there."""
        labels = [] if not self.labels or any(name in arrays for name in self.labels) else [" or ".join(self.labels)]
        return [name for name in self.needs if name not in arrays] + labels

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
        for name in (*self.needs, *(name for name in self.labels if name in arrays)):
            array = np.asarray(arrays[name])
            if array.size == 0:
                raise UserError(f"metric {self.name}: {name} is empty")
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise UserError(
                    f"metric {self.name}: {name} has {int((~np.isfinite(array)).sum())} NaN or infinite values: "
                    "remove those rows or mend the encoder"
                )
            if array.dtype.kind not in "biufUS":
                raise UserError(f"metric {self.name}: {name} holds {array.dtype}, not numbers")
        result = self.compute(arrays, seed)
        if not np.isfinite(result.value):
            raise UserError(
                f"metric {self.name} is {result.value} on this input: {result.note or 'no value is defined'}"
            )
        return result


def codes_and_labels(arrays: Arrays, codes: str, labels: str) -> tuple[np.ndarray, np.ndarray]:
    """Codes (N, d) and labels as (N, k). Raises ``UserError`` unless both have the same N."""
    z, y = np.asarray(arrays[codes]), np.asarray(arrays[labels])
    if z.ndim != 2 or y.ndim not in (1, 2) or len(z) != len(y):
        raise UserError(
            f"{codes} must be (N, d) and {labels} (N,) or (N, k) with the same N; got {z.shape} and {y.shape}"
        )
    return z, y
