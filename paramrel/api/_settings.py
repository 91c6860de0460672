"""Settings by name: which of network, training or method each belongs to, and what stands where none is given."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from paramrel.data import DataSet
from paramrel.errors import UserError, unknown
from paramrel.method import Method
from paramrel.settings import Frozen, Network, Train

LARGEST_MAP = 16
"""Side of the maps that networks work on, at most: larger images are taken apart into squares of pixels."""
HEAD_CHANNELS = 16


def network_for(shape: tuple[int, int, int]) -> dict[str, Any]:
    """A network for images (C, H, W) that trains in minutes on a CPU."""
    _, height, width = shape
    unshuffle = next((k for k in (1, 2, 4, 8) if max(height, width) <= k * LARGEST_MAP), 8)
    while height % unshuffle or width % unshuffle:
        unshuffle //= 2
    small = max(height, width) <= 8
    chosen: dict[str, Any] = {"channels": 16 if small else 32, "multipliers": (1, 2), "blocks": 1, "latent_dim": 32}
    return chosen | ({"unshuffle": unshuffle, "head_channels": HEAD_CHANNELS} if unshuffle > 1 else {})


def training_for(n_images: int, steps: int) -> dict[str, Any]:
    """A training of so many steps."""
    return {"steps": steps, "batch_size": min(64, n_images), "learning_rate": 2e-3, "warmup_steps": min(50, steps // 4)}


def sorted_out(
    cls: type[Method], data: DataSet, variant: str | None, steps: int, given: Mapping[str, Any]
) -> tuple[Network, Train, Frozen, str]:
    """(network, training, the method's settings, name of the variant). Raises ``UserError`` for an unknown name, with a
    suggestion, and for a value that is not allowed."""
    known: dict[str, type[Frozen]] = {"network": Network, "train": Train, "config": cls.Config}
    chosen = variant or next(iter(cls.variants))
    if chosen not in cls.variants:
        raise unknown(f"variant of {cls.name}", chosen, cls.variants)
    parts: dict[str, dict[str, Any]] = {
        "network": network_for(data.shape),
        "train": training_for(data.size("train"), steps),
        "config": dict(cls.variants[chosen]),
    }
    for name, value in given.items():
        owner = next((part for part, model in known.items() if name in model.model_fields), None)
        if owner is None:
            raise unknown(
                f"setting of {cls.name}", name, [field for model in known.values() for field in model.model_fields]
            )
        parts[owner][name] = value
    parts["network"] |= cls.network
    network, training, config = (_built(known[part], parts[part], cls.name) for part in ("network", "train", "config"))
    assert isinstance(network, Network) and isinstance(training, Train)
    return network, training, config, chosen


def _built(model: type[Frozen], values: Mapping[str, Any], origin: str) -> Frozen:
    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{origin}: {place + ': ' if place else ''}{first['msg'].removeprefix('Value error, ')}"
        ) from error
