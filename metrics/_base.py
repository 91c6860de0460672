"""The metric seam: what a metric declares, what it takes, what it gives."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from paramrel.errors import UserError

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Value:
    """A measured value, the number of items it is over, the values of its folds, and what a reader must know."""

    value: float
    n: int
    folds: tuple[float, ...] = ()
    note: str = ""


class Metric(ABC):
    """A metric. A new one is one new file here: a subclass with a declaration and ``compute``.

    ``needs`` names the arrays it takes. ``z`` (N, d) codes and ``y`` (N,) or (N, k) integer labels, factors or
    attributes are what anybody has; ``paramrel encode`` writes the others.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    """Raise it when the same arrays would give another value."""
    title: ClassVar[str]
    direction: ClassVar[Literal["higher", "lower", "none"]]
    """Which way is better; none for a description."""
    range: ClassVar[tuple[float, float]]
    unit: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]]
    source: ClassVar[str]

    @abstractmethod
    def compute(self, arrays: Arrays, seed: int) -> Value:
        """The value. ``arrays`` holds what ``needs`` names; ``seed`` decides folds and nothing else."""

    def chance(self, arrays: Arrays) -> float | None:
        """What codes without any information score, or None where that has no meaning."""
        return None

    def __call__(self, arrays: Arrays, seed: int = 0) -> Value:
        """``compute`` with checked input. Raises ``UserError`` for missing, ill-shaped or non-finite arrays."""
        missing = [name for name in self.needs if name not in arrays]
        if missing:
            raise UserError(
                f"metric {self.name} needs the array(s) {', '.join(missing)}; the file has {', '.join(arrays) or 'none'}"
            )
        for name in self.needs:
            array = np.asarray(arrays[name])
            if array.size == 0:
                raise UserError(f"metric {self.name}: {name} is empty")
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise UserError(
                    f"metric {self.name}: {name} has {int((~np.isfinite(array)).sum())} NaN or infinite values: "
                    "remove those rows or mend the encoder"
                )
        result = self.compute(arrays, seed)
        if not np.isfinite(result.value):
            raise UserError(
                f"metric {self.name} is {result.value} on this input: {result.note or 'no value is defined'}"
            )
        return result
