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
    close = nearest(str(name), known)
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    return UserError(f"unknown {kind} {name!r}: {hint}available: {', '.join(known) or 'none'}")


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Known names that ``name`` may mean, whatever their case: all (at most 4) that begin with it, or the most
    alike."""
    known = sorted(known)
    begun = [one for one in known if name and one.lower().startswith(name.lower())]
    if begun:
        return begun[:4]
    by_lower = {one.lower(): one for one in reversed(known)}
    return [by_lower[one] for one in difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)]
