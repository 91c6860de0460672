"""Imports point one way: a room knows the rooms before it and none behind it."""

import ast
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = (
    "paramrel",
    "metrics",
    "baselines",
    "paramrel.api",
    "suite.graph",
    "suite.measure",
    "suite.show",
    "suite.commands",
)
"""From the first to the last. ``paramrel.api`` is what ``import paramrel`` gives on demand."""
KNOWS = {"metrics": {"paramrel.errors", "paramrel.registry", "paramrel.settings", "paramrel.files"}}
"""What alone a room may know of the rooms before it."""


def modules(room: str) -> dict[str, Path]:
    """The modules of a room by their dotted names."""
    folder = ROOT / room.replace(".", "/")
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if room == "suite" or room_of(name) == room:
            found[name] = path
    return found


def imported(path: Path) -> set[str]:
    """Dotted names that a file imports, also inside of functions; not what only a type checker reads."""
    names: set[str] = set()
    tree = ast.parse(path.read_text())
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(name: str) -> str | None:
    found = [room for room in ROOMS if name == room or name.startswith(f"{room}.")]
    return max(found, key=len, default=None)


def test_every_module_of_the_suite_has_a_room():
    loose = [name for name in modules("suite") if name != "suite" and room_of(name) is None]
    assert not loose


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_knows_only_the_rooms_before_it(room):
    wrong = []
    for name, path in modules(room).items():
        for other in imported(path):
            other_room = room_of(other)
            if other_room is not None and ROOMS.index(other_room) > ROOMS.index(room):
                wrong.append(f"{name} imports {other}")
            if (
                room in KNOWS
                and other_room not in (None, room)
                and not any(other.startswith(known) for known in KNOWS[room])
            ):
                wrong.append(f"{name} imports {other}")
    assert not wrong


def test_paramrel_does_not_name_the_packages_above_it():
    above = ("baselines", "metrics", "suite")
    for path in modules("paramrel").values():
        words = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        assert not words & set(above), path


def test_modules_import_each_other_in_no_circle():
    every = {name: path for room in ROOMS for name, path in modules(room).items()}
    needs = {name: {near(other, every) for other in imported(path)} - {None, name} for name, path in every.items()}
    done: set[str] = set()
    while ready := {name for name, needed in needs.items() if name not in done and needed <= done}:
        done |= ready
    left = sorted(set(needs) - done)
    assert not left, f"in or behind a circle: {circle(needs, done)}"


def near(name: str, every: dict[str, Path]) -> str | None:
    """The module that an imported name is, or is in."""
    parent = name.rpartition(".")[0]
    return name if name in every else parent if parent in every else None


def circle(needs: dict[str, set[str]], done: set[str]) -> list[str]:
    """One circle among the modules that are not done."""
    way = [next(iter(sorted(set(needs) - done)))]
    while way[-1] not in way[:-1]:
        way.append(sorted(needs[way[-1]] - done)[0])
    found = way[way.index(way[-1]) :]
    assert all(after in needs[before] for before, after in pairwise(found))
    return found
