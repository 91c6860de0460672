"""Finding members: a new method, data set or metric is one new file in a package that is searched here."""

import importlib
import inspect
import pkgutil
from functools import cache

from paramrel.errors import unknown


@cache
def members(base: type, packages: tuple[str, ...]) -> dict[str, type]:
    """All concrete subclasses of ``base`` with a ``name`` of their own in the modules of ``packages``, by name.

    Modules whose name starts with an underscore are helpers and are not searched. Two members of one name are
    an error: a table row must mean one thing.
    """
    found: dict[str, type] = {}
    for package_name in packages:
        package = importlib.import_module(package_name)
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
            if info.name.startswith("_"):
                continue
            module = importlib.import_module(f"{package_name}.{info.name}")
            for _, cls in inspect.getmembers(module, inspect.isclass):
                mine = cls.__module__ == module.__name__ and issubclass(cls, base) and not inspect.isabstract(cls)
                if not mine or "name" not in vars(cls):
                    continue
                if cls.name in found:
                    raise ValueError(f"two members are called {cls.name!r}: {found[cls.name]} and {cls}")
                found[cls.name] = cls
    return found


def lookup(kind: str, name: str, known: dict[str, type]) -> type:
    """``known[name]``, or a ``UserError`` that suggests the nearest name."""
    if name not in known:
        raise unknown(kind, name, known)
    return known[name]
