"""Where a number comes from: code, data, configuration, environment, machine."""

import os
import platform
import resource
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from paramrel.devices import choose_device
from paramrel.files import read_record, write_record
from paramrel.networks import n_parameters
from paramrel.settings import Runtime
from suite.graph.cells import Cell
from suite.graph.hashing import file_sha256
from suite.graph.kernels import blas, first_core
from suite.measure.commit import code, lock_hash

LIBRARIES = ("torch", "numpy", "scikit-learn", "safetensors")


def begin(state: Path) -> None:
    """Note in ``state`` which code a training begins with, or goes on with after it was stopped."""
    write_record(state / "code.json", {"parts": [*_parts(state), code() | {"lock_sha256": lock_hash()}]})


def _parts(state: Path) -> list[dict[str, Any]]:
    path = state / "code.json"
    if not path.exists():
        return []
    return read_record(path, "parts", remedy=f"the rest of {state}, and train again")["parts"]


def trained_by(state: Path) -> dict[str, Any]:
    """Commit and lock that a training began with; dirty if any part of it ran on other code than that commit's."""
    parts = _parts(state)
    same = all(part == parts[0] for part in parts)
    return parts[0] | {"dirty": parts[0]["dirty"] if same else True}


def write_run(run: Path, cell: Cell, runtime: Runtime, data_sha256: str, seconds: float, by: dict[str, Any]) -> None:
    """``run``/run.json: the resolved configuration and everything that a rerun would need to know; ``by``: the code, as
    ``trained_by`` has it."""
    write_record(
        run / "run.json",
        {
            "cell": str(cell),
            "hash": cell.hash,
            "resolved": cell.resolved,
            "parameters": n_parameters(cell.build()),
            "data_sha256": data_sha256,
            "weights_sha256": file_sha256(run / "model.safetensors"),
            "log_sha256": file_sha256(run / "metrics.jsonl"),
            "code": {key: value for key, value in by.items() if key != "lock_sha256"},
            "lock_sha256": by["lock_sha256"],
            "machine": machine(runtime),
            "libraries": {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()},
            "seconds": round(seconds, 1),
            "peak_memory_mib": peak_memory_mib(),
            "peak_gpu_memory_mib": peak_gpu_memory_mib(),
        },
    )


def parameters_by_part(cell: Cell) -> dict[str, int]:
    """Trainable parameters of each part of a cell's method (encoder, decoder, ...), by name."""
    return {name: n_parameters(part) for name, part in cell.build().named_children()}


def machine(runtime: Runtime) -> dict[str, Any]:
    """Processor, vector instructions that torch and numpy use, threads, device."""
    device = choose_device(runtime)
    return {
        "processor": processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "blas": blas(),
        "cores": os.cpu_count(),
        "threads": runtime.threads,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "system": f"{platform.system()} {platform.machine()}",
    }


def processor() -> str:
    """Model of the processor, as /proc/cpuinfo has it."""
    found = first_core()
    if not found:
        return platform.processor()
    return " ".join(found.get(key, "?") for key in ("model name", "cpu family", "model", "stepping"))


def peak_memory_mib() -> int:
    """Largest resident set of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def peak_gpu_memory_mib() -> int | None:
    """Most memory that torch's tensors took on the GPU, in MiB; None without a GPU."""
    return torch.cuda.max_memory_allocated() // (1 << 20) if torch.cuda.is_available() else None
