"""Metrics on plain arrays: one file each, no torch, no workflow. ``metrics()`` lists them."""

from metrics._base import Metric, Value
from paramrel.registry import lookup, members

__all__ = ["Metric", "Value", "metric", "metrics"]


def metrics() -> dict[str, type[Metric]]:
    """All metrics by name."""
    return members(Metric, ("metrics",))


def metric(name: str) -> Metric:
    """The metric called ``name``. Raises ``UserError`` with a suggestion if there is none."""
    return lookup("metric", name, metrics())()
