"""Errors of commands."""

import functools
import sys
from collections.abc import Callable
from typing import Any

import typer

from paramrel.errors import UserError


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Print a ``UserError`` as one line and exit with 2; anything else is a bug and keeps its traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(2) from None

    return run
