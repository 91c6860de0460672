"""The same matrix kernels on every x86-64 processor with AVX2, unless the user names others, and a record of them."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from suite.graph import kernels
from suite.graph.kernels import CORETYPE, first_core, fix_blas

CPUINFO = "processor\t: 0\nmodel name\t: a processor\nflags\t\t: fpu {} avx\nbugs\t\t: avx2 fma\n"
fixed_here = platform.machine() == "x86_64" and {"avx2", "fma"} <= set(first_core().get("flags", "").split())


def measured(codes: Path, out: Path, coretype: str | None) -> dict:
    """What ``paramrel evaluate`` writes in an environment with or without the variable."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    environment |= {CORETYPE: coretype} if coretype else {}
    command = [Path(sys.executable).parent / "paramrel", "evaluate", codes, "--metric", "auroc", "--metric", "accuracy"]
    subprocess.run([*command, "--out", out], env=environment, check=True, capture_output=True)
    return json.loads(out.read_text())


@pytest.mark.skipif(not fixed_here, reason="no x86-64 processor with AVX2 on Linux")
def test_codes_are_measured_with_the_same_kernels_whatever_the_processor_would_choose(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 500)
    np.savez(tmp_path / "codes.npz", z=rng.normal(size=(500, 64)) + 0.3 * y[:, None], y=y)
    found = measured(tmp_path / "codes.npz", tmp_path / "unset.json", None)
    assert found["blas"] == "Haswell"
    assert found == measured(tmp_path / "codes.npz", tmp_path / "set.json", "Haswell")
    assert measured(tmp_path / "codes.npz", tmp_path / "other.json", "Sandybridge")["blas"] != "Haswell", "the user's"


@pytest.mark.parametrize(
    ("machine", "flags", "given", "expected"),
    [
        ("x86_64", "avx2 fma", None, "Haswell"),
        ("x86_64", "avx2 fma", "SkylakeX", "SkylakeX"),
        ("x86_64", "fma", None, None),
        ("x86_64", "avx2", None, None),
        ("aarch64", "avx2 fma", None, None),
    ],
)
def test_kernels_are_named_only_where_the_processor_has_them(tmp_path, monkeypatch, machine, flags, given, expected):
    (tmp_path / "cpuinfo").write_text(CPUINFO.format(flags))
    monkeypatch.setattr(kernels.platform, "machine", lambda: machine)
    monkeypatch.setenv(CORETYPE, given or "to be put back")
    if given is None:
        monkeypatch.delenv(CORETYPE)
    fix_blas(tmp_path / "nothing")
    assert os.environ.get(CORETYPE) == given
    fix_blas(tmp_path / "cpuinfo")
    assert os.environ.get(CORETYPE) == expected
