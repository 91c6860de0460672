"""Cells: one training each (data set x method x variant x seed), and where its files lie."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from paramrel import CODE_VERSION
from paramrel.data import dataset
from paramrel.errors import UserError, unknown
from paramrel.method import METHODS, Method, method
from paramrel.settings import Frozen, Network, Train
from suite.graph.config import DatasetOverride, Override, Preset, Variant, build, merge, method_config, training
from suite.graph.hashing import short_hash


@dataclass(frozen=True)
class Cell:
    """One training and all that decides its result."""

    dataset: str
    method: str
    variant: str
    seed: int
    network: Network
    train: Train
    config: Frozen

    @property
    def resolved(self) -> dict[str, Any]:
        """The resolved configuration: plain values, defaults filled in, versions of the code that reads them."""
        return {
            "dataset": {"name": self.dataset, "version": dataset(self.dataset).version},
            "method": {"name": self.method, "version": method(self.method).version},
            "config": self.config.recorded(),
            "network": self.network.recorded(),
            "train": self.train.recorded() if method(self.method).trained else None,
            "seed": self.seed,
            "code_version": CODE_VERSION,
        }

    @property
    def hash(self) -> str:
        """Ten hexadecimal digits over ``resolved``; part of the path, so that stale results are never taken."""
        return short_hash(self.resolved)

    @property
    def path(self) -> str:
        """Where the cell's files lie below ``runs/`` (and its training state below ``state/``)."""
        return f"{self.dataset}/{self.method}-{self.variant}/seed{self.seed}-{self.hash}"

    def build(self) -> Method:
        """The untrained method."""
        return method(self.method)(dataset(self.dataset), self.network, self.config)

    def __str__(self) -> str:
        return f"{self.dataset}/{self.method}-{self.variant}/seed{self.seed}"


@cache
def _n_images(name: str) -> int:
    return dataset(name).size("train")


def n_images(name: str) -> int | None:
    """Number of training images of a data set, or None where only its files, which are missing, could tell."""
    try:
        return _n_images(name)
    except UserError:
        return None


def cells(preset: Preset, missing: list[str] | None = None) -> list[Cell]:
    """Every cell of a preset, in the order of its lists. Raises ``UserError`` for two variants of the same settings,
    and where data are missing; what is missing goes to ``missing`` instead, if it is given."""
    found = []
    for data_name in preset.datasets:
        data = dataset(data_name)
        try:
            data.check_available()
        except UserError as error:
            if missing is None:
                raise
            missing.append(str(error))
            if n_images(data_name) is None:
                continue
        for name in method_names(preset, data_name):
            if method(name).skip(data) is None:
                for variant in variants(preset, name):
                    found += [make_cell(preset, data_name, name, variant, seed) for seed in preset.seeds]
    if not found:
        raise UserError("the preset has no cell: every method skips every data set")
    known: dict[str, Cell] = {}
    for cell in found:
        other = known.setdefault(cell.hash, cell)
        if other is not cell:
            raise UserError(f"{other} and {cell} have the same settings: give one of the variants others, or remove it")
    return found


def controls(preset: Preset) -> list[Cell]:
    """The cell of each data set on whose codes metrics are also measured with shuffled labels: its last method's
    last variant, of methods that have codes, first seed."""
    coded = (cell for cell in cells(preset) if method(cell.method).no_code is None)
    last = {cell.dataset: cell for cell in coded if cell.seed == preset.seeds[0]}
    return list(last.values())


def explored(preset: Preset) -> list[Cell]:
    """The cells that have frames for the report's explorer: first seed, methods that make images of codes."""
    return [cell for cell in cells(preset) if cell.seed == preset.seeds[0] and makes_images(method(cell.method))]


def makes_images(cls: type[Method]) -> bool:
    """Whether a method makes images of codes: alone, or with a subcode."""
    return cls.no_code is None and (cls.decode is not Method.decode or cls.render is not Method.render)


def method_names(preset: Preset, data_name: str) -> tuple[str, ...]:
    """Methods of a preset on a data set: sanity rows first, then baselines, then the paper's, each by name. "all"
    leaves out broken ones, with a line on standard error."""
    chosen = preset.per_dataset.get(data_name, DatasetOverride()).methods or preset.methods
    if chosen != "all":
        return chosen
    return tuple(sorted(METHODS.every(), key=lambda name: (method(name).trained, name.startswith("paramrel"), name)))


def skipped(preset: Preset) -> list[tuple[str, str, str]]:
    """(data set, method, reason) of what a preset names and cannot run."""
    pairs = ((data, name) for data in preset.datasets for name in method_names(preset, data))
    reasons = ((data, name, method(name).skip(dataset(data))) for data, name in pairs)
    return [(data, name, reason) for data, name, reason in reasons if reason is not None]


def variants(preset: Preset, name: str) -> dict[str, Variant]:
    """Variants of a method: those of its file unless the preset replaces them."""
    replaced = preset.per_method.get(name, Override()).variants
    if replaced is not None:
        return replaced
    return {variant: build(Variant, settings, name) for variant, settings in method(name).variants.items()}


def make_cell(preset: Preset, data_name: str, name: str, variant: str, seed: int) -> Cell:
    """One cell: the preset's values, then the data set's, then the method's, then the variant's, and what the method
    cannot do without (``Method.network``)."""
    known = variants(preset, name)
    if variant not in known:
        raise unknown(f"variant of {name}", variant, known)
    chosen, of_method = known[variant], preset.per_method.get(name, Override())
    parts: list[Any] = [preset, preset.per_dataset.get(data_name, DatasetOverride()), of_method, chosen]
    network: dict[str, Any] = {}
    train: dict[str, Any] = {}
    for part in parts:
        network = merge(network, part.network.model_dump(exclude_none=True) if part.network else {})
        train = merge(train, part.train.model_dump(exclude_none=True) if part.train else {})
    network = merge(network, dict(method(name).network))
    origin = f"{name}-{variant}"
    config = method_config(name, of_method.config | chosen.settings, f"settings of {origin}")
    settings = training(train, lambda: _n_images(data_name))
    return Cell(data_name, name, variant, seed, build(Network, network, origin), settings, config)


def find(preset: Preset, data_name: str, name: str, variant: str | None, seed: int | None) -> Cell:
    """The cell that a command line names: any data set and method, with the settings that the preset gives them. Raises
    ``UserError`` with suggestions."""
    data = dataset(data_name)
    data.check_available()
    reason = method(name).skip(data)
    if reason is not None:
        raise UserError(f"{name} does not run on {data_name}: {reason}")
    chosen = variant or next(iter(variants(preset, name)))
    return make_cell(preset, data_name, name, chosen, preset.seeds[0] if seed is None else seed)


def run_dir(runs: Path, cell: Cell) -> Path:
    """Folder of a cell's declared outputs."""
    return runs / cell.path
