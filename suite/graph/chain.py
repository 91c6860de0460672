"""What was made of what: the one check of a cell's files against each other.

Every file of a cell says what it is of: weights their cell; run.json the weights and the log; timing-*.json and
codes-*.npz cell and weights, the former also the codes; metrics-*.json and control-*.json cell, weights and codes; so
explorer-*.npz. What a file says is compared with what lies beside it. Files of earlier versions say less: what they do
not say is taken as it is, and a note says so.
"""

import json
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from paramrel.errors import UserError
from paramrel.files import read_record
from suite.graph.hashing import file_sha256
from suite.graph.names import timing_of

MADE_OF = "made_of"
"""Name of the entry of an .npz file that says what it is of, as JSON."""

LONGEST = 1 << 16
"""Bytes that it may have."""

TRAINED = ("run.json", "model.safetensors", "metrics.jsonl")
"""What a training makes."""

SAYS = {
    "cell": "is of another cell, {said}",
    "weights_sha256": "is not of the weights that are here",
    "codes_sha256": "is not of the codes that are here",
    "log_sha256": "is not of the metrics.jsonl that is here",
}
"""What is wrong where a file says another thing than what is found."""


@dataclass(frozen=True)
class Fault:
    """A file that is not of what lies beside it, or that cannot be read."""

    name: str
    reason: str


def cell_of(run: Path) -> str | None:
    """The cell of a folder of a cell's files, by its path; None for any other folder."""
    parts = run.absolute().parts[-3:]
    return "/".join(parts) if re.fullmatch(r"seed\d+-[0-9a-f]{10}", parts[-1]) else None


def made_of(run: Path, codes: Path | None = None) -> dict[str, str]:
    """What is made of a cell's weights (and of its ``codes``) now says of its origin, for ``packed`` or a record."""
    said = {"cell": cell_of(run), "weights_sha256": file_sha256(run / "model.safetensors")}
    return {key: value for key, value in said.items() if value} | (
        {"codes_sha256": file_sha256(codes)} if codes else {}
    )


def packed(said: dict[str, str]) -> dict[str, np.ndarray]:
    """The entry of an .npz file that says what it is of."""
    return {MADE_OF: np.array(json.dumps(said, sort_keys=True))}


def faults(run: Path, *names: str, whole: bool = True) -> Iterator[Fault]:
    """What is wrong with the files ``names`` of a cell's folder, in their order; files that are not there are left out.

    ``whole``: the bytes of weights, codes and log are compared too; otherwise only what the files say of them.
    """
    folder = _Folder(run, whole)
    for name in names:
        if (run / name).exists():
            try:
                said = folder.said(name)
                found = {key: folder.found(key, name, names) for key in said}
            except UserError as error:
                yield Fault(name, str(error))
                continue
            if whole:
                _note(run / name, said)
            for key in SAYS:
                if key in said and found[key] not in (None, said[key]):
                    yield Fault(name, f"{run / name} {SAYS[key].format(said=said[key])}: {_remedy(run, name)}")
                    break


def check(run: Path, *names: str) -> None:
    """Raises ``UserError`` for the first of ``faults``."""
    for fault in faults(run, *names):
        raise UserError(fault.reason)


def check_codes(codes: Path, *more: str) -> None:
    """``check`` of a file of codes, what is said beside it, and ``more`` files of its folder; of anybody's codes, whose
    folder is no cell's, nothing is known."""
    if cell_of(codes.parent):
        check(codes.parent, timing_of(codes).name, codes.name, *more)


def finished(run: Path) -> bool:
    """Whether a training is done: its files are there, and of each other."""
    return all((run / name).exists() for name in TRAINED) and not any(faults(run, *TRAINED))


def stale(run: Path, codes: str, *derived: str) -> list[str]:
    """Files made of a cell's weights that must be made anew: those at fault, and ``derived`` with the ``codes``.

    Codes and the file of timing beside them are made together: if one of them is missing or at fault, so is the other.
    """
    timing = timing_of(Path(codes)).name
    there = [name for name in (timing, codes, *derived) if (run / name).exists()]
    if not there or any(faults(run, "run.json", whole=False)):
        return []  # nothing is known of its weights: who uses them says so
    at_fault = {fault.name for fault in faults(run, *there, whole=False)}
    if at_fault & {timing, codes}:
        return there
    half = [name for name in there if name in (timing, codes)]
    return sorted(at_fault) + (half if len(half) == 1 and _said(run / half[0]) else [])


class _Folder:
    """What lies in a cell's folder, each looked up once."""

    def __init__(self, run: Path, whole: bool) -> None:
        self.run, self.whole = run, whole

    def said(self, name: str) -> dict[str, str]:
        """What a file says it is of."""
        if name == "run.json":
            known = {key: self.record[key] for key in SAYS if key in self.record and key != "cell"}
            return known | ({"cell": f"{self.record['cell']}-{self.record['hash']}"} if "hash" in self.record else {})
        return _said(self.run / name)

    def found(self, key: str, name: str, names: tuple[str, ...]) -> str | None:
        """What is there; None where it cannot be told."""
        if key == "cell":
            return cell_of(self.run)
        if key == "weights_sha256":
            return self.sha256("model.safetensors", names) if name == "run.json" else self.record.get(key)
        if key == "log_sha256":
            return self.sha256("metrics.jsonl", names)
        return self.codes_sha256(name, names)

    def codes_sha256(self, name: str, names: tuple[str, ...]) -> str | None:
        """Of the codes beside a file: by their bytes, or as the file of timing says."""
        codes = [other for other in names if other.startswith("codes-")]
        if len(codes) != 1:
            return None
        if self.whole:
            return self.sha256(codes[0], names)
        timing = timing_of(self.run / codes[0])
        return None if timing.name == name or not timing.exists() else _said(timing).get("codes_sha256")

    @cached_property
    def record(self) -> dict[str, Any]:
        path = self.run / "run.json"
        remedy = f"{self.run / 'model.safetensors'}, and train again"
        return read_record(path, remedy=remedy) if path.exists() else {}

    def sha256(self, name: str, names: tuple[str, ...]) -> str | None:
        if not self.whole or name not in names or not (self.run / name).exists():
            return None
        known = self.__dict__.setdefault("hashes", {})
        if name not in known:
            known[name] = file_sha256(self.run / name)
        return known[name]


def _said(path: Path) -> dict[str, str]:
    """What a file of a cell says it is of."""
    if path.suffix == ".safetensors":
        from paramrel.checkpoint import cell_of_weights

        cell = cell_of_weights(path)
        return {"cell": cell} if cell else {}
    if path.suffix == ".npz":
        return said_by_npz(path)
    if path.suffix == ".json":
        record = read_record(path)
        known = {key: record[key] for key in SAYS if isinstance(record.get(key), str)}
        if isinstance(record.get("input_sha256"), str):
            known["codes_sha256"] = record["input_sha256"]
        return known | dict(record.get(MADE_OF, {}))
    return {}


def said_by_npz(path: Path) -> dict[str, str]:
    """What an .npz file says it is of; nothing where it is somebody's. Raises ``UserError`` where it is damaged."""
    try:
        with zipfile.ZipFile(path) as file:
            member = f"{MADE_OF}.npy"
            if member not in file.namelist():
                return {}
            if file.getinfo(member).file_size > LONGEST:
                raise ValueError(f"{MADE_OF} is too long")
            with file.open(member) as stream:
                said = json.loads(str(np.lib.format.read_array(stream, allow_pickle=False)))
        return {key: value for key, value in said.items() if key in SAYS and isinstance(value, str)}
    except (OSError, ValueError, EOFError, AttributeError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run snakemake again") from error


def _remedy(run: Path, name: str) -> str:
    if name in TRAINED:
        return f"remove {', '.join(str(run / each) for each in TRAINED)} and train again"
    return f"delete {run / name} and run snakemake again"


_NOTED: set[str] = set()
"""Kinds of files that a note was printed about."""


def _note(path: Path, said: dict[str, str]) -> None:
    kind = path.name.partition("-")[0]
    if not said and path.suffix != ".jsonl" and kind not in _NOTED:
        _NOTED.add(kind)
        print(
            f"note: {path} is older than the record of what it is of; such files are taken as they are", file=sys.stderr
        )
