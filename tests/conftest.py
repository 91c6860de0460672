"""What tests share: small networks, a small preset, a place of their own to write."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

import suite  # noqa: F401  (names the packages of members)
from paramrel.data import dataset
from paramrel.settings import Network

ROOT = Path(__file__).resolve().parent.parent
torch.set_num_threads(1)

TINY_NETWORK = Network(channels=4, multipliers=(1, 2), blocks=1, groups=2, latent_dim=8)
TINY_PRESET = {
    "datasets": ["digits_binarized"],
    "methods": "all",
    "seeds": [0, 1],
    "network": {"channels": 4, "multipliers": [1, 2], "blocks": 1, "groups": 2, "latent_dim": 8},
    "train": {"steps": 12, "batch_size": 16, "learning_rate": 2e-3, "warmup_steps": 2},
    "evaluate": {"n_images": 40, "n_probe_images": 200, "sampling_steps": 3},
    "runtime": {"device": "cpu", "checkpoint_every": 5, "log_every": 5},
}


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory) -> Path:
    """Prepared data go to a folder of the test session, never to the user's."""
    os.environ["PARAMREL_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    return Path(os.environ["PARAMREL_CACHE"])


@pytest.fixture
def digits():
    """The embedded binary data set."""
    return dataset("digits_binarized")


@pytest.fixture
def tiny_params(tmp_path: Path) -> Path:
    """A parameter file with one preset, ``tiny``."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({"preset": "tiny", "presets": {"tiny": TINY_PRESET}}))
    return path


def run(*command: str, cwd: Path, timeout: int = 300, **env: str) -> subprocess.CompletedProcess:
    """Run a command of this environment, in ``cwd``."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command, cwd=cwd, env=os.environ | {"PATH": path} | env, capture_output=True, text=True, timeout=timeout
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the project's files without anything that was built: what a clean clone holds."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    copy = tmp_path / "checkout"
    if listed.returncode:  # no git: an unpacked archive
        shutil.copytree(
            ROOT, copy, ignore=shutil.ignore_patterns(".venv", ".uv", "runs", "state", ".snakemake", "logs")
        )
        return copy
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def cluster():
    """A real Slurm that runs; skips where there can be none."""
    from tests import slurm_cluster

    reason = slurm_cluster.missing()
    if reason:
        pytest.skip(reason)
    slurm_cluster.down()
    slurm_cluster.up()
    os.environ["PATH"] = f"{slurm_cluster.home()}/bin{os.pathsep}{os.environ['PATH']}"
    yield slurm_cluster
    slurm_cluster.down()
