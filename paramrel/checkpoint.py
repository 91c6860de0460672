"""Weights as safetensors, one file per checkpoint, written atomically. No pickled code anywhere."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from paramrel.errors import UserError
from paramrel.files import move, write_atomically

STATE, PREVIOUS = "state.safetensors", "state.previous.safetensors"
"""The last checkpoint of a training and the one before."""


def save_weights(path: Path, module: nn.Module, cell: str = "") -> None:
    """Parameters and buffers of ``module``, with the name of the cell that they are of."""
    tensors = {name: tensor.contiguous().cpu() for name, tensor in module.state_dict().items()}
    _write(path, tensors, {"cell": cell} if cell else None)


def load_weights(path: Path, module: nn.Module) -> None:
    """Load what ``save_weights`` wrote. Raises ``UserError`` where the file is damaged or of another model."""
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} cannot be loaded ({reason}): delete it and train again") from error


def cell_of_weights(path: Path) -> str | None:
    """The cell that a file of weights is of; None where the file is older than this record.

    Raises ``UserError`` where it is damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("cell")
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}): delete it and train again") from error


@dataclass(frozen=True)
class Progress:
    """How far a training is."""

    step: int = 0
    """Steps that are done."""
    seconds: float = 0.0
    """Seconds spent, earlier tries included."""


class Checkpoints:
    """The last two states of a training, in a folder beside its log ``metrics.jsonl``.

    A state knows its cell, the sha256 of its tensors, and the sha256 of the log's lines up to its step. What does not
    fit (damaged, of another cell, without its log) is never trained from.
    """

    def __init__(self, folder: Path, cell: str = "") -> None:
        self.last, self.previous, self.log = folder / STATE, folder / PREVIOUS, folder / "metrics.jsonl"
        self.cell = cell

    def save(self, done: Progress, method: nn.Module, ema: AveragedModel, optimiser: torch.optim.Optimizer) -> None:
        """All that a training needs to go on: weights, their average, AdamW's moments. The log must be flushed."""
        tensors = {f"method.{k}": v for k, v in method.state_dict().items()}
        tensors |= {f"ema.{k}": v.clone() for k, v in ema.state_dict().items()}
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{k}": v for k, v in moments.items()}
        tensors = {k: v.contiguous().cpu() for k, v in tensors.items()}
        metadata = {
            "step": str(done.step),
            "seconds": repr(done.seconds),
            "cell": self.cell,
            "log_sha256": _log_sha256(self.log, done.step),
            "tensors_sha256": tensors_sha256(tensors),
        }
        if self.last.exists():
            move(self.last, self.previous)
        _write(self.last, tensors, metadata)

    def load(self, method: nn.Module, ema: AveragedModel, optimiser: torch.optim.Optimizer) -> Progress:
        """Restore the newest state that fits; ``Progress()`` where there is none. What does not fit is set aside, and
        one line says so."""
        set_aside = []
        for path in (self.last, self.previous):
            if not path.exists():
                continue
            try:
                tensors, metadata = self._read(path)
            except (SafetensorError, ValueError, KeyError, OSError) as error:
                move(path, path.with_suffix(".aside"))
                set_aside.append(f"{path} ({str(error).splitlines()[0]})")
                continue
            _say(set_aside, f"goes on from step {metadata['step']}")
            _restore(path, tensors, method, ema, optimiser)
            return Progress(int(metadata["step"]), float(metadata["seconds"]))
        _say(set_aside, "starts anew")
        return Progress()

    def _read(self, path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Tensors and metadata of a state. Raises ``ValueError`` where it does not fit."""
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        tensors = load_file(path)
        step = int(metadata["step"])
        expected = {
            "cell": self.cell,
            "log_sha256": _log_sha256(self.log, step),
            "tensors_sha256": tensors_sha256(tensors),
        }
        if "tensors_sha256" not in metadata:
            print(f"note: {path} is older than its digests: taken as it is", file=sys.stderr)
            expected = {}
        reasons = {
            "cell": f"it is of another cell, {metadata.get('cell')}",
            "log_sha256": f"{self.log.name} is not its log",
            "tensors_sha256": "its numbers are not those that were saved",
        }
        for key, value in expected.items():
            if metadata.get(key) != value:
                raise ValueError(reasons[key])
        return tensors, metadata


def _say(set_aside: list[str], what: str) -> None:
    if set_aside:
        print(f"set aside, for it does not fit: {', '.join(set_aside)}; the training {what}", file=sys.stderr)


def _restore(
    path: Path, tensors: dict[str, Tensor], method: nn.Module, ema: AveragedModel, optimiser: torch.optim.Optimizer
) -> None:
    try:
        method.load_state_dict(_part(tensors, "method."))
        ema.load_state_dict(_part(tensors, "ema."))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in _part(tensors, "optimiser.").items():
            index, name = key.split(".", 1)
            moments.setdefault(int(index), {})[name] = tensor
        optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
    except (RuntimeError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} cannot be loaded ({reason}): delete it to start this training anew") from error


def tensors_sha256(tensors: dict[str, Tensor]) -> str:
    """sha256 over names, types, shapes and bytes of tensors on the CPU."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _log_sha256(log: Path, n_lines: int) -> str:
    """sha256 of the first lines of a log. Raises ``ValueError`` where it has fewer."""
    lines = log.read_bytes().splitlines(keepends=True) if log.exists() else []
    if len(lines) < n_lines:
        raise ValueError(f"{log.name} has {len(lines)} of {n_lines} lines")
    return hashlib.sha256(b"".join(lines[:n_lines])).hexdigest()


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None) -> None:
    def write(temporary: Path) -> None:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:  # it wraps what the system says
            raise OSError(str(error)) from error

    write_atomically(path, write)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
