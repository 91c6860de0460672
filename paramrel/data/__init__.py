"""Data sets: one file each. ``datasets()`` lists them, ``dataset(name)`` gets one."""

from paramrel.data._base import Column, DataSet, Labelled, Split
from paramrel.registry import Registry, search

__all__ = ["Column", "DataSet", "Labelled", "Split", "dataset", "datasets"]

DATASETS: Registry[DataSet] = Registry("data set", "paramrel.datasets", DataSet)
search(DATASETS.group, __name__)


def datasets() -> dict[str, type[DataSet]]:
    """All data sets by name."""
    return DATASETS.members


def dataset(name: str) -> DataSet:
    """The data set called ``name``. Raises ``UserError`` with a suggestion if there is none."""
    return DATASETS.get(name)()
