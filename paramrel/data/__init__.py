"""Data sets: one file each. ``datasets()`` lists them, ``dataset(name)`` gets one."""

from paramrel.data._base import Column, DataSet, Labelled, Split
from paramrel.registry import lookup, members

__all__ = ["Column", "DataSet", "Labelled", "Split", "dataset", "datasets"]


def datasets() -> dict[str, type[DataSet]]:
    """All data sets by name."""
    return members(DataSet, ("paramrel.data",))


def dataset(name: str) -> DataSet:
    """The data set called ``name``. Raises ``UserError`` with a suggestion if there is none."""
    return lookup("data set", name, datasets())()
