"""Weights as safetensors, one file per checkpoint, written atomically. No pickled code anywhere."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from paramrel.errors import UserError
from paramrel.files import write_atomically


def save_weights(path: Path, module: nn.Module) -> None:
    """Parameters and buffers of ``module``."""
    tensors = {name: tensor.contiguous().cpu() for name, tensor in module.state_dict().items()}
    write_atomically(path, lambda temporary: save_file(tensors, temporary))


def load_weights(path: Path, module: nn.Module) -> None:
    """Load what ``save_weights`` wrote. Raises ``UserError`` where the file is damaged or of another model."""
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} cannot be loaded ({reason}): delete it and train again") from error


def save_state(path: Path, step: int, seconds: float, method: nn.Module, ema: AveragedModel, optimiser: torch.optim.Optimizer) -> None:  # fmt: skip
    """All that a training needs to go on after ``step`` steps: weights, their average, AdamW's moments."""
    tensors = {f"method.{k}": v for k, v in method.state_dict().items()}
    tensors |= {f"ema.{k}": v.clone() for k, v in ema.state_dict().items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": v for k, v in moments.items()}
    tensors = {k: v.contiguous().cpu() for k, v in tensors.items()}
    metadata = {"step": str(step), "seconds": repr(seconds)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata))


def load_state(path: Path, method: nn.Module, ema: AveragedModel, optimiser: torch.optim.Optimizer) -> tuple[int, float]:  # fmt: skip
    """Restore what ``save_state`` wrote; returns (step, seconds), or (0, 0.0) where there is no file."""
    if not path.exists():
        return 0, 0.0
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        tensors = load_file(path)
        method.load_state_dict(_part(tensors, "method."))
        ema.load_state_dict(_part(tensors, "ema."))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in _part(tensors, "optimiser.").items():
            index, name = key.split(".", 1)
            moments.setdefault(int(index), {})[name] = tensor
        optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} cannot be loaded ({reason}): delete it to start this training anew") from error
    return int(metadata["step"]), float(metadata["seconds"])


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
