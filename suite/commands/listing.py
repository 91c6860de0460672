"""``paramrel list``: one line for each member, sound ones first."""

from collections.abc import Callable
from typing import Any

from metrics import METRICS, Metric
from paramrel.errors import unknown
from paramrel.registry import Registry


def listing(what: str) -> list[str]:
    """Lines about all methods, datasets or metrics. Raises ``UserError`` with a suggestion for another word."""
    if what not in KINDS:
        raise unknown("list", what, KINDS)
    registry, line = KINDS[what]()
    sound = [f"{name:24} {line(cls)}" for name, cls in registry.members.items()]
    return sound + [f"{name:24} broken: {reason}" for name, reason in registry.broken.items()]


def _methods() -> tuple[Registry, Callable[[Any], str]]:
    from paramrel.method import METHODS

    return METHODS, lambda cls: f"{cls.title}: variants {', '.join(cls.variants)}; {cls.source}"


def _datasets() -> tuple[Registry, Callable[[Any], str]]:
    from paramrel.data import DATASETS

    return (
        DATASETS,
        lambda cls: f"{cls.title}: {'x'.join(map(str, cls.shape))}, {cls().label_text}; {cls.source}; {cls.licence}",
    )


def _metrics() -> tuple[Registry, Callable[[Any], str]]:
    return METRICS, _metric


def _metric(cls: type[Metric]) -> str:
    needs = ", ".join(dict.fromkeys((*cls.needs, " or ".join(cls.labels)) if cls.labels else cls.needs))
    fields = cls.Config.model_fields.items()
    known = ", ".join(f"{cls.family or cls.name}.{key}={field.default}" for key, field in fields)
    options = f"; options {known}" if known else ""
    only = "" if cls.by_default else "; only by name"
    return f"v{cls.version} {cls.title}: {cls.direction}, {list(cls.range)} {cls.unit}, needs {needs}{options}{only}"


KINDS = {"methods": _methods, "datasets": _datasets, "metrics": _metrics}
