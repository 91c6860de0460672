"""Metrics on plain arrays: one file each, no torch, no workflow. ``metrics()`` lists them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ValidationError

from metrics._arrays import objects
from metrics._base import Arrays, Metric, Ready, Value
from metrics._cache import keep_in
from paramrel.errors import UserError, unknown
from paramrel.registry import Registry, search
from paramrel.settings import Frozen

__all__ = [
    "METRICS",
    "Metric",
    "Options",
    "Ready",
    "Value",
    "check_options",
    "keep_in",
    "metric",
    "metric_class",
    "metrics",
    "objects",
    "options_of",
    "shuffle_labels",
]

METRICS: Registry[Metric[Any]] = Registry("metric", "paramrel.metrics", Metric)
search(METRICS.group, __name__)


def metrics() -> dict[str, type[Metric]]:
    """All metrics by name."""
    return METRICS.members


def metric_class(name: str) -> type[Metric]:
    """The class of the metric called ``name``. Raises ``UserError``: why it is broken, or the nearest name."""
    return METRICS.get(name)


def metric(name: str, settings: Mapping[str, Any] | None = None) -> Metric:
    """The metric called ``name``, with options that differ from the defaults.

    Raises ``UserError`` with a suggestion if there is none of that name, or no such option.
    """
    cls = metric_class(name)
    return cls(_config(cls, settings or {}))


Options = Mapping[str, Mapping[str, Any]]
"""Options that differ from the defaults, by family of metrics."""


def check_options(given: Options) -> None:
    """Raises ``UserError`` with a suggestion for an unknown family or option, or a bad value."""
    families = {cls.family or key: cls for key, cls in metrics().items() if cls.Config is not Metric.Config}
    for family, settings in given.items():
        if family in families:
            _config(families[family], settings)
        elif family not in METRICS.broken:
            raise unknown("metric with options", family, families)


def options_of(name: str, given: Options) -> Mapping[str, Any]:
    """What ``given`` says for the metric ``name``."""
    return given.get(metric_class(name).family or name, {})


def _config(cls: type[Metric], settings: Mapping[str, Any]) -> Frozen:
    family = cls.family or cls.name
    for key in settings:
        if key not in cls.Config.model_fields:
            raise unknown(f"option of {family}", key, cls.Config.model_fields)
    try:
        return cls.Config.model_validate(settings, strict=True)  # a word is no number
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, (family, *first["loc"])))
        raise UserError(f"{where}: {first['msg']} (got {first['input']!r})") from error


def shuffle_labels(arrays: Arrays, seed: int = 0) -> dict[str, np.ndarray]:
    """The same arrays with the rows of all labels permuted: the control, in which codes tell nothing of the labels.

    Rows stay whole, so that factors keep what they tell of each other.
    """
    names = sorted({name for cls in metrics().values() for name in cls.labels})
    shuffled = dict(arrays)
    for name in filter(arrays.__contains__, names):
        order = np.random.default_rng([seed, len(arrays[name])]).permutation(len(arrays[name]))
        shuffled[name] = np.asarray(arrays[name])[order]
    return shuffled
