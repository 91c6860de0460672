"""The progress bar: it moves on a terminal, and is a quiet line every half minute in a log."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress(
    items: Iterable[Any] | None = None,
    *,
    what: str | None = None,
    unit: str = "it",
    total: int | None = None,
    first: int = 0,
    scale: bool = False,
    brief: bool = False,
) -> "tqdm[Any]":
    """A bar over ``items``, or one that is moved by hand (``update``) up to ``total``; ``first`` of them are done
    already.

    ``scale``: 12.3M in place of 12300000. ``brief``: shown only where a person looks on, and removed when it is done.
    """
    terminal = sys.stderr.isatty()
    return tqdm(
        items,
        desc=what,
        unit=unit,
        total=total,
        initial=first,
        unit_scale=scale,
        leave=not brief,
        disable=None if brief else False,
        mininterval=0.2 if terminal else 30,
        ascii=not terminal,
    )
