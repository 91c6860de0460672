"""params.yaml to frozen, typed settings; unknown keys are answered with a suggestion."""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator

from metrics import METRICS, check_options
from paramrel.data import DATASETS
from paramrel.errors import UserError, unknown
from paramrel.method import METHODS, method
from paramrel.registry import Registry
from paramrel.settings import Frozen, Network, Runtime, Train
from suite.graph.written import read_yaml

Model = TypeVar("Model", bound=BaseModel)

MAX_SEED = 2**32 - 1
"""The largest that scikit-learn's draws take."""


def partial(model: type[Frozen], name: str, **extra: Any) -> type[Frozen]:
    """``model`` with every field optional, for the places that say only what differs."""
    fields: dict[str, Any] = {
        key: (Annotated[field.annotation, Field(), *field.metadata] | None, Field(None, description=field.description))
        for key, field in model.model_fields.items()
    }
    return create_model(name, __base__=Frozen, **fields, **extra)


if TYPE_CHECKING:  # classes that are made when this is run are no types

    class NetworkOverride(Frozen): ...

    class TrainOverride(Frozen): ...

else:
    NetworkOverride = partial(Network, "NetworkOverride")
    TrainOverride = partial(
        Train,
        "TrainOverride",
        epochs=(
            Annotated[int, Field(ge=1)] | None,
            Field(None, description="Passes over the data, in place of steps."),
        ),
    )


class Evaluate(Frozen):
    """What is measured, and on how much."""

    metrics: tuple[str, ...] | Literal["all"] = "all"
    """all: every metric that is not "only by name" in `paramrel list metrics`; or names."""
    options: dict[str, dict[str, bool | int | float | str | None]] = {}
    """Options of metrics, by family: {dci: {n_trees: 20}}. `paramrel list metrics` shows them with their defaults."""
    n_images: int = Field(400, ge=8)
    """Test images that are reconstructed, generated from and scored (fewer where the test split is smaller)."""
    n_probe_images: int = Field(5000, ge=10)
    """Training images for the pixel probe behind class agreement."""
    n_codes: int | None = Field(None, ge=50)
    """Images of each split whose codes probes and disentanglement metrics see; all if None."""
    sampling_steps: int = Field(20, ge=1)
    """n, steps of ancestral sampling."""
    probe_seed: int = Field(0, ge=0, le=MAX_SEED)
    """Decides folds, and trees, votes and subsets of metrics that draw: the same for every method and seed."""

    @field_validator("metrics")
    @classmethod
    def _known(cls, value: Any) -> Any:
        return value if value == "all" else _check_names(METRICS, value)

    @field_validator("options")
    @classmethod
    def _sound(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            check_options(value)
        except UserError as error:
            raise ValueError(str(error)) from error
        return value


class Variant(Frozen):
    """One row of a method: its settings, and where it needs them a network and a training of its own."""

    model_config = ConfigDict(extra="allow")

    network: NetworkOverride | None = None
    train: TrainOverride | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the method that differ from its defaults; the method checks them."""
        return self.model_extra or {}


NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
"""Of presets and variants: a part of paths and of shell commands."""


def _check_written(kind: str, names: Iterable[str]) -> None:
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(f"{kind} {name!r}: a name is letters, digits, and _ . + - after the first")


class Differing(Frozen):
    """What may differ for one data set as for one method of a preset."""

    network: NetworkOverride = NetworkOverride()
    train: TrainOverride = TrainOverride()


class Override(Differing):
    """What differs for one method of a preset."""

    config: dict[str, Any] = {}
    """Settings of the method, for all its variants."""
    variants: Annotated[dict[str, Variant], Field(min_length=1)] | None = None
    """Replaces the variants that the method's file declares: variant name to settings, and under ``network`` and
    ``train`` what differs there."""

    @field_validator("variants")
    @classmethod
    def _names(cls, value: Any) -> Any:
        _check_written("variant", value or ())
        return value


class DatasetOverride(Differing):
    """What differs for one data set of a preset."""

    methods: tuple[str, ...] | None = None
    """Methods that run on this data set; all of the preset's if none."""

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, value: Any) -> Any:
        return value and _check_names(METHODS, value)


class Preset(Frozen):
    """One benchmark: data sets x methods x variants x seeds."""

    extends: str | None = None
    """Another preset whose values hold where this one is silent."""
    datasets: tuple[str, ...] = Field(("digits_binarized",), min_length=1)
    methods: tuple[str, ...] | Literal["all"] = "all"
    """all: every method that is registered; or names."""
    seeds: tuple[Annotated[int, Field(ge=0, le=MAX_SEED)], ...] = Field((0,), min_length=1)
    network: NetworkOverride = NetworkOverride()
    train: TrainOverride = TrainOverride()
    evaluate: Evaluate = Evaluate()
    per_dataset: dict[str, DatasetOverride] = {}
    per_method: dict[str, Override] = {}
    runtime: Runtime = Runtime()

    @field_validator("datasets")
    @classmethod
    def _known_datasets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _check_names(DATASETS, value)

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, value: Any) -> Any:
        return value if value == "all" else _check_names(METHODS, value)

    @field_validator("per_dataset", "per_method")
    @classmethod
    def _known_overrides(cls, value: dict[str, Override], info: Any) -> dict[str, Override]:
        _check_names(DATASETS if info.field_name == "per_dataset" else METHODS, tuple(value))
        return value

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value):
            raise ValueError(f"seeds {list(value)} must be distinct")
        return value


class Params(Frozen):
    """params.yaml."""

    preset: str = "quick"
    """The preset that is run where none is named."""
    params: str = "params.yaml"
    """Only for ``snakemake --config params=FILE``: another parameter file."""
    presets: dict[str, dict[str, Any]]
    """Presets as written; ``resolve`` turns one into a ``Preset``."""

    @field_validator("presets")
    @classmethod
    def _names(cls, value: Any) -> Any:
        _check_written("preset", value)
        return value


def load(path: Path) -> Params:
    """Read and check a parameter file, every preset of it. Raises ``UserError`` with one line on what is wrong."""
    return parse(read_yaml(path), str(path))


def parse(raw: Any, origin: str) -> Params:
    """Check a parameter dictionary. ``origin`` names it in errors."""
    if not isinstance(raw, dict):
        raise UserError(f"{origin} must hold a mapping with the keys preset and presets")
    params = build(Params, raw, origin)
    if params.preset not in params.presets:
        raise UserError(f"{origin}: {unknown('preset', params.preset, params.presets)}")
    for name in params.presets:
        resolve(params, name, origin)
    return params


def resolve(params: Params, name: str, origin: str = "params.yaml") -> Preset:
    """The preset called ``name`` with everything it extends filled in."""
    chain = [name]
    merged: dict[str, Any] = {}
    while True:
        if chain[-1] not in params.presets:
            raise UserError(f"{origin}: {unknown('preset', chain[-1], params.presets)}")
        written = params.presets[chain[-1]]
        if not isinstance(written, dict):
            raise UserError(f"{origin}: presets.{chain[-1]} must be a mapping")
        merged = merge(written, merged)
        parent = written.get("extends")
        if not isinstance(parent, str):  # none, or an error that the model names
            return build(Preset, merged, f"{origin}: presets.{name}")
        if parent in chain:
            raise UserError(f"{origin}: presets {' -> '.join([*chain, parent])} extend each other in a circle")
        chain.append(parent)


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``over`` on top of ``base``, mapping by mapping. Variants are replaced whole; steps replace epochs and back."""
    merged = dict(base)
    for key, other in (("steps", "epochs"), ("epochs", "steps")):
        if over.get(key) is not None:
            merged.pop(other, None)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict) and key != "variants"
        merged[key] = merge(merged[key], value) if both else value
    return merged


def build(model: type[Model], raw: Mapping[str, Any], origin: str) -> Model:
    """``model`` from ``raw``, or a ``UserError`` of one line: where, what, and the nearest known key.

    The one judge of what is written: as JSON, in which a list may be a tuple, and strictly, so that a word is never
    taken for a number, nor a number for a word.
    """
    try:
        text = json.dumps(raw, default=str)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{origin}: a part holds itself, or nests too deep ({error})") from error
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if not _is_type_tag(part))
        if first["type"] == "extra_forbidden":
            known = _fields_at(model, first["loc"][:-1])
            close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}? " if close else ""
            message = f"unknown key {where!r}: {hint}known keys: {', '.join(known)}"
        else:
            said = (
                first["msg"]
                .removeprefix("Value error, ")
                .replace("an object", "a mapping")
                .replace("an array", "a list")
            )
            message = f"{where or 'value'}: {said.replace('valid array', 'list')}"
            if first["type"] not in ("value_error", "missing"):
                message += f" (got {first['input']!r})"
        raise UserError(f"{origin}: {message}") from error


def _fields_at(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Field names of the model that ``path`` leads to."""
    current: Any = model
    for part in path:
        if isinstance(current, type) and issubclass(current, BaseModel):
            current = current.model_fields[part].annotation if part in current.model_fields else current
        elif get_origin(current) is dict:
            current = get_args(current)[1]
        if get_origin(current) in (Union, UnionType):
            current = next(arg for arg in get_args(current) if arg is not type(None))
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _is_type_tag(part: Any) -> bool:
    """Pydantic adds the tried member of a union to a location, e.g. "tuple[str, ...]" or "literal['all']"."""
    return isinstance(part, str) and ("[" in part or part in ("str", "int"))


def _check_names(known: Registry, names: tuple[str, ...]) -> tuple[str, ...]:
    """Broken members may be named: what needs one of them says why it is broken."""
    if len(set(names)) != len(names):
        raise ValueError(f"{known.kind} {next(name for name in names if names.count(name) > 1)!r} is named twice")
    try:
        for name in names:
            known.check(name)
    except UserError as error:
        raise ValueError(str(error)) from error
    return names


def method_config(name: str, settings: dict[str, Any], origin: str) -> Frozen:
    """A method's typed settings from a dictionary."""
    return build(method(name).Config, settings, origin)


def training(written: dict[str, Any], n_images: Callable[[], int]) -> Train:
    """The training of one cell; ``epochs`` become steps (a last incomplete batch is dropped), by the number of
    images."""
    given = dict(written)
    epochs = given.pop("epochs", None)
    if epochs is not None:
        batch_size = given.get("batch_size", Train.model_fields["batch_size"].default)
        given["steps"] = epochs * max(1, n_images() // batch_size)
    return Train(**given)


def schema() -> dict[str, Any]:
    """JSON Schema of params.yaml: ``Params`` with every preset checked as a ``Preset``."""
    full = Params.model_json_schema()
    preset = Preset.model_json_schema(ref_template="#/$defs/{model}")
    full["$defs"] = preset.pop("$defs", {}) | {"Preset": preset}
    full["properties"]["presets"]["additionalProperties"] = {"$ref": "#/$defs/Preset"}
    full["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return full
