"""Errors of commands."""

import functools
import io
import sys
from collections.abc import Callable
from typing import Any

import typer

from paramrel.errors import UserError


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Print a ``UserError`` as one line and exit with 2; anything else is a bug and keeps its traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        for stream in (sys.stdout, sys.stderr):  # a terminal may lack a letter, and a file's name may be no text
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            command(*args, **kwargs)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(2) from None

    return run
