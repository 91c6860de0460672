"""Where networks run: the device, what is pinned on it so that it computes the same bits twice, and words for it."""

import os
import re
from pathlib import Path

import torch

from paramrel.errors import UserError
from paramrel.settings import Precision, Runtime

DRIVER = Path("/proc/driver/nvidia/version")
"""Where NVIDIA's driver says its version."""

OTHER_BUILD = "install another build of torch (docs/guarantees.md), or set runtime.device to cpu"


def choose_device(runtime: Runtime) -> torch.device:
    """The configured device; auto takes a GPU where there is one.

    Raises ``UserError`` where a GPU is asked for and there is none, and where there is one that this build of torch
    cannot use: a training must not run on the processor of a GPU node for a week.
    """
    if runtime.device == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        check_kernels(torch.cuda.get_device_capability(), torch.cuda.get_arch_list())
        return torch.device("cuda")
    if torch.cuda.device_count() > 0:  # the driver's own library sees it
        raise UserError(
            f"torch {torch.__version__} cannot use the GPU that is here ({_reason()}): update the driver to one for "
            f"CUDA "
            f"{torch.version.cuda}, {OTHER_BUILD}"
        )
    if runtime.device == "cuda":
        raise UserError("runtime.device is cuda but torch sees no GPU: set it to auto or cpu, or install a CUDA build")
    return torch.device("cpu")


def _reason() -> str:
    """What torch says when it is made to use the GPU."""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).splitlines()[0]
    return f"driver {driver()}"


def check_kernels(capability: tuple[int, int], built_for: list[str]) -> None:
    """Raises ``UserError`` unless one of the architectures ``built_for`` (sm_90, compute_90, ...) runs on a GPU of this
    compute capability. Machine code (sm) runs on later GPUs of the same major number, portable code (compute) on all
    later ones (CUDA C++ programming guide, "Binary Compatibility" and "PTX Compatibility")."""
    for name in built_for:
        kind, number = name.split("_")
        major, minor = divmod(int(re.sub(r"\D", "", number)), 10)
        later = (major, minor) <= capability
        if later and (kind == "compute" or major == capability[0]):
            return
    raise UserError(
        f"torch {torch.__version__} has no kernels for this GPU, of compute capability "
        f"{capability[0]}.{capability[1]}: "
        f"it is built for {', '.join(built_for)}; {OTHER_BUILD}"
    )


def make_cuda_deterministic(precision: Precision = "fp32") -> None:
    """The same bits in every run on one GPU: deterministic kernels, and attention by plain matrix products.

    (The bottleneck has some 50 positions, where that costs nothing; the fused backward passes add in any order.)
    Products of float32 are of float32 unless ``precision`` is tf32: torch's own default is TF32 for convolutions.
    Memory that no kernel has written yet is not filled, which torch does beside deterministic kernels: nothing here
    reads it, and it is half of all operations of a step.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # made by a module class
    torch.backends.fp32_precision = "tf32" if precision == "tf32" else "ieee"  # type: ignore[attr-defined]  # as above
    for enable in ("enable_flash_sdp", "enable_mem_efficient_sdp", "enable_cudnn_sdp"):
        getattr(torch.backends.cuda, enable)(False)


def driver() -> str:
    """Version of NVIDIA's driver, "?" where it does not say."""
    found = re.search(r"\d+\.\d+[.\d]*", DRIVER.read_text()) if DRIVER.exists() else None
    return found.group() if found else "?"


def described(device: torch.device, precision: str, threads: int) -> str:
    """The first line of a log: "device: cpu, precision fp32, 1 thread"."""
    name = "cpu"
    if device.type == "cuda":
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        name = (
            f"{torch.cuda.get_device_name(device)} (driver {driver()}, CUDA {torch.version.cuda}, visible GPUs: "
            f"{visible})"
        )
    return f"device: {name}, precision {precision}, {threads} thread{'s' if threads > 1 else ''}"
