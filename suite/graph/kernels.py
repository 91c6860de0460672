"""Which matrix kernels numpy, scipy and so scikit-learn compute with: the same on every processor that has them.

OpenBLAS chooses kernels by the processor it finds, and kernels sum in other orders: a probe's AUROC moves in its fifth
digit, accuracy by some items, ICA's components by more. ``Haswell``'s (AVX2 and FMA) run on x86-64 processors since
2013.
"""

import os
import platform
from itertools import takewhile
from pathlib import Path

CORETYPE = "OPENBLAS_CORETYPE"
"""Environment variable that OpenBLAS reads when it is loaded (https://github.com/OpenMathLib/OpenBLAS, README)."""


def fix_blas(cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
    """Ask OpenBLAS for the kernels of ``Haswell``: to be called before numpy is loaded; child processes inherit it.

    Left alone where the user names other kernels, and where the processor is not known to have AVX2 and FMA (ARM;
    systems other than Linux). What was used is recorded with every training and every file of metrics: ``blas``.
    """
    flags = first_core(cpuinfo).get("flags", "").split()
    if platform.machine() == "x86_64" and {"avx2", "fma"} <= set(flags):
        os.environ.setdefault(CORETYPE, "Haswell")


def first_core(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """What Linux says of the first core (all of them take long on machines with many); nothing on other systems."""
    try:
        with cpuinfo.open() as file:
            pairs = (line.split(":", 1) for line in takewhile(str.strip, file) if ":" in line)
            return {key.strip(): value.strip() for key, value in pairs}
    except OSError:
        return {}


def blas() -> str:
    """Kernels of the BLAS libraries that are loaded: ``Haswell``, or several names, or ``unknown`` (no OpenBLAS)."""
    from threadpoolctl import threadpool_info

    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return " ".join(sorted({library.get("architecture") or "unknown" for library in libraries})) or "unknown"
