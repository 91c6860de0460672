"""Finding members: a new method, data set or metric is one new file in a place that is searched.

Three kinds of places are searched: packages that were named by ``search``; packages, modules and classes that installed
distributions name as entry points (groups ``paramrel.methods``, ``paramrel.datasets`` and ``paramrel.metrics``); and
the files that ``$PARAMREL_PLUGINS`` names. A member that is broken stops nobody else: its name is kept with the reason.
"""

import importlib.metadata
import importlib.util
import inspect
import os
import pkgutil
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from paramrel.errors import UserError, unknown

M = TypeVar("M")

PLUGINS = "PARAMREL_PLUGINS"
"""Environment variable: Python files with members, separated as in PATH. Jobs of a workflow inherit it."""

_SEARCHED: dict[str, list[str]] = {}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_WRITTEN_NAME = re.compile(r"""^\s+name(?:\s*:[^=\n]*)?\s*=\s*["']([^"'\n]+)["']""", re.MULTILINE)


def search(group: str, package: str) -> None:
    """Search the modules of ``package`` for members of ``group``, beside what installed distributions name."""
    names = _SEARCHED.setdefault(group, [])
    if package not in names:
        names.append(package)


@dataclass
class Found:
    """What a search has found, by name."""

    members: dict[str, type] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    """Why a name cannot be had: one line that names the file and what is wrong in it."""


@dataclass(frozen=True)
class Registry(Generic[M]):
    """The members of one kind: concrete subclasses of ``base`` with a ``name`` of their own."""

    kind: str
    """What a message calls one of them."""
    group: str
    """Of entry points, and of ``search``."""
    base: type

    @property
    def members(self) -> dict[str, type[M]]:
        """Those that are sound, by name."""
        return _find(self.base, _places(self.group)).members

    @property
    def broken(self) -> dict[str, str]:
        """The reason for each that is not, by name."""
        return _find(self.base, _places(self.group)).broken

    def every(self) -> dict[str, type[M]]:
        """``members``; each broken one is named on standard error, once."""
        for reason in self.broken.values():
            _warn(f"{self.kind} is left out: {reason}")
        return self.members

    def get(self, name: str) -> type[M]:
        """The member called ``name``. Raises ``UserError``: why it is broken, or the nearest name."""
        if name in self.members:
            return self.members[name]
        if name in self.broken:
            raise UserError(self.broken[name])
        broken = f"; broken: {', '.join(sorted(self.broken))}" if self.broken else ""
        raise UserError(f"{unknown(self.kind, name, self.members)}{broken}")

    def check(self, name: str) -> None:
        """Raises ``UserError`` unless there is a member called ``name``, sound or broken."""
        if name not in self.broken:
            self.get(name)


@cache
def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr)


def _places(group: str) -> tuple[str, ...]:
    """Packages, modules, "module:Class" and files, in the order in which they are searched: whatever was imported
    first."""
    return _in_order((*_SEARCHED.get(group, ()), *_installed(group)), os.environ.get(PLUGINS, ""))


@cache
def _in_order(named: tuple[str, ...], plugins: str) -> tuple[str, ...]:
    first = sorted(named, key=lambda name: (not name.startswith("paramrel."), name))
    return tuple(dict.fromkeys((*first, *filter(None, plugins.split(os.pathsep)))))


@cache
def _installed(group: str) -> tuple[str, ...]:
    return tuple(point.value for point in importlib.metadata.entry_points(group=group))


@cache
def _find(base: type, places: tuple[str, ...]) -> Found:
    found = Found()
    for place in places:
        for file, make in _sources(place, found):
            try:
                loaded = make()
            except (Exception, SystemExit) as error:
                _cannot_be_imported(file, error, found)
                continue
            for cls in [loaded] if inspect.isclass(loaded) else _candidates(loaded, base):
                _add(cls, base, found)
    return found


def _sources(place: str, found: Found) -> Iterator[tuple[Path, Any]]:
    """(file, function that gives a module or a class) of a place. Modules whose name starts with an underscore are
    helpers and are not searched."""
    if place.endswith(".py"):
        yield Path(place), lambda: _plugin(Path(place).resolve())
        return
    try:
        named = pkgutil.resolve_name(place)
    except (Exception, SystemExit) as error:
        found.broken[place] = f"{place} cannot be imported ({_short(error)}): mend or remove its installed package"
        return
    if not hasattr(named, "__path__"):
        yield _file(named), lambda: named
        return
    for info in sorted(pkgutil.iter_modules(named.__path__), key=lambda info: info.name):
        if not info.name.startswith("_"):
            full = f"{place}.{info.name}"
            yield Path(named.__path__[0], f"{info.name}.py"), lambda full=full: importlib.import_module(full)


@cache
def _plugin(path: Path) -> ModuleType:
    """The module in a file; another plugin may import it as ``paramrel_plugin_<stem>``."""
    name = f"paramrel_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _candidates(module: ModuleType, base: type) -> list[type]:
    """The subclasses of ``base`` that a module defines, without helpers (an underscore) and bases of other classes
    here."""
    named = inspect.getmembers(module, lambda cls: inspect.isclass(cls) and issubclass(cls, base))
    mine = [cls for name, cls in named if cls.__module__ == module.__name__ and not name.startswith("_")]
    bases = {cls for cls in mine if any(cls in other.__mro__[1:] for other in mine)}
    return [cls for cls in mine if "name" in vars(cls) or not (cls in bases or inspect.isabstract(cls))]


def _add(cls: type, base: type, found: Found) -> None:
    """Sort a class into ``found``."""
    name = str(vars(cls).get("name", cls.__name__))
    what = fault(cls, base)
    if what:
        found.broken[name] = f"{_shown(_file(cls))}: class {cls.__name__}: {what}"
    elif name in found.members:
        other = found.members.pop(name)
        found.broken[name] = f"{_shown(_file(other))} and {_shown(_file(cls))}: two are called {name!r}: rename one"
    elif name not in found.broken:
        found.members[name] = cls


def fault(cls: Any, base: type) -> str | None:
    """What a member fails to declare, or None: a name of its own, the abstract methods, and every field that ``base``
    or a class between declares as ``ClassVar``, with a value of its type."""
    if "name" not in vars(cls):
        return "name is missing: say what it is called"
    if inspect.isabstract(cls):
        return f"{', '.join(sorted(cls.__abstractmethods__))} is not defined"
    for key, annotation in _declared(cls, base).items():
        if not hasattr(cls, key):
            return f"{key} is missing: {base.__name__} asks for it"
        if not isinstance(getattr(cls, key), property):
            try:
                _adapter(annotation).validate_python(getattr(cls, key), strict=True)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, (key, *first["loc"])))
                return f"{where}: {first['msg']} (got {first['input']!r})"
    if not _NAME.fullmatch(vars(cls)["name"]):
        return f"name {vars(cls)['name']!r}: letters, digits, and _ . + - after the first"
    return cls.own_fault() if hasattr(cls, "own_fault") else None


def _declared(cls: type, base: type) -> dict[str, Any]:
    """Types of the fields that are declared between ``base`` and ``cls``, by name; without those written as text."""
    fields: dict[str, Any] = {}
    for owner in reversed([owner for owner in cls.__mro__ if issubclass(owner, base)]):
        for key, annotation in inspect.get_annotations(owner).items():
            if get_origin(annotation) is ClassVar:
                fields[key] = get_args(annotation)[0]
    return fields


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))


def _cannot_be_imported(file: Path, error: BaseException, found: Found) -> None:
    """The names that a file would define, as far as its text tells, are broken."""
    try:
        names = _WRITTEN_NAME.findall(file.read_text(errors="replace")) or [file.stem]
    except OSError:
        names = [file.stem]
    for name in names:
        if name not in found.members:
            found.broken[name] = f"{_shown(file)}: cannot be imported ({_short(error)}): mend or remove the file"


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _file(thing: Any) -> Path:
    try:
        return Path(inspect.getfile(thing))
    except (TypeError, OSError):
        return Path(str(getattr(thing, "__module__", thing)))


def _shown(path: Path) -> str:
    """Below the current folder where it is there."""
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)
