"""The metric seam: what a metric declares, what it takes, what it gives."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from paramrel.errors import UserError
from paramrel.settings import Frozen

Arrays = Mapping[str, np.ndarray]

SHAPES: Mapping[str, str] = {
    "z": "N d", "z_sampled": "N d", "z_std": "N d", "y": "N k?", "attributes": "N k?",
    "progressive_z": "S N d", "progressive_s": "S",
    "x_test": "M C H W", "y_test": "M k?", "probe_x": "P C H W", "probe_y": "P k?", "binary": "",
    "decoded": "M C H W", "reconstructed": "M C H W", "generated": "M C H W", "interpolated": "I F C H W",
    "loss_points": "T", "loss_own": "T M", "loss_permuted": "T M", "loss_mean": "T M", "loss_prior": "T M",
    "nll_data": "M", "nll_kl": "M",
}  # fmt: skip
"""What arrays are called and their shapes: the same letter is the same size, "k?" may be missing. Images, codes and
labels of N items for probes, of M held-out images for the decoder, of P training images for ``agreement``; S and T
flow times; I interpolations of F frames."""

SLACK = 1e-3
"""How far pixels may be outside of [0, 1]."""
MAX_MAGNITUDE = 1e35
"""Larger numbers overflow in single precision, or when they are squared."""


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
        labels = next(([name] for name in self.labels if name in arrays), [])
        read = {name: _array(arrays[name]) for name in dict.fromkeys((*self.needs, *labels))}
        for name, array in read.items():
            _check_values(f"metric {self.name}: {name}", array, words=name in (*self.text, *self.labels))
        self._check_shapes(read)
        for name, array in read.items():
            if self.shapes.get(name, "").endswith("C H W") and not (array.min() >= -SLACK and array.max() <= 1 + SLACK):
                raise UserError(
                    f"metric {self.name}: {name} has pixels from {array.min():.4g} to {array.max():.4g}: scale to [0, 1]"
                )
        result = self.compute(dict(arrays) | read, seed)
        if not np.isfinite(result.value):
            raise UserError(
                f"metric {self.name} is {result.value} on this input: {result.note or 'no value is defined'}"
            )
        return result

    def _check_shapes(self, read: Arrays) -> None:
        """Raises ``UserError`` for the first array whose shape does not fit its form and the arrays before it."""
        sizes: dict[str, int] = {}
        for name, array in read.items():
            if name not in self.shapes:
                continue
            letters = self.shapes[name].split()
            forms = [letters, letters[:-1]] if letters and letters[-1].endswith("?") else [letters]
            form = next((form for form in forms if len(form) == array.ndim), None)
            known = ", ".join(f"{letter} = {sizes[letter]}" for letter in letters if letter in sizes)
            if form is None or any(
                sizes.setdefault(letter, n) != n for letter, n in zip(form, array.shape, strict=True)
            ):
                wanted = " or ".join(f"({', '.join(form)})".replace("?", "") for form in reversed(forms))
                raise UserError(
                    f"metric {self.name}: {name} must be {wanted}" + f" with {known} as other arrays" * bool(known)
                    + f"; its shape is {array.shape}"
                )  # fmt: skip


def _array(values: np.ndarray) -> np.ndarray:
    """Half precision as single: sums of its squares would overflow."""
    array = np.asarray(values)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _check_values(what: str, array: np.ndarray, words: bool) -> None:
    """Raises ``UserError`` for empty arrays and for values that are no finite numbers (or words, where they may be)."""
    if array.size == 0:
        raise UserError(f"{what} is empty")
    if array.dtype.kind not in ("biufUS" if words else "biuf"):
        raise UserError(f"{what} holds {array.dtype}, not numbers" + " or words" * words)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            n = int((~np.isfinite(array)).sum())
            raise UserError(f"{what} has {n} NaN or infinite values: remove those rows or mend the encoder")
        if np.abs(array).max() > MAX_MAGNITUDE:
            raise UserError(
                f"{what} has values beyond {MAX_MAGNITUDE:g}, of which no variance can be taken: rescale it"
            )
