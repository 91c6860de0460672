"""Errors that are the user's to mend, and the suggestions that go with them."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input. The message is one line that names the thing and the way out."""


class Unsupported(Exception):
    """A method cannot do what was asked. The message is the reason shown in tables (never a failure)."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """A ``UserError`` for an unknown name: "unknown method 'vea': did you mean 'vae'? available: ..."."""
    known = sorted(known)
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return UserError(f"unknown {kind} {name!r}: {hint}available: {', '.join(known) or 'none'}")
