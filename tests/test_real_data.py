"""The real files, where PARAMREL_DATA holds them: counts, checksums, official splits, memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from paramrel.data import dataset
from tests.conftest import ROOT

COUNTS = {
    "mnist_binarized": (60_000, 10_000),
    "fashionmnist_binarized": (60_000, 10_000),
    "cifar10_lossless5k": (4000, 1000),
    "cifar10_jpeg": (50_000, 10_000),
}


def found(name: str):
    data = dataset(name)
    if data.state() == "missing":
        pytest.skip(f"no files of {name} below PARAMREL_DATA")
    return data


@pytest.mark.parametrize("name", list(COUNTS))
def test_official_counts_and_balance_from_verified_files(name):
    data = found(name)
    card = data.prepare()
    assert all(entry["official_digest"] for entry in card["inputs"])
    for split, n in zip(("train", "test"), COUNTS[name], strict=True):
        labels = data.load(split).labels
        assert len(labels) == n and np.bincount(labels).min() > 0.08 * n


def test_the_jpeg_form_of_cifar10_shows_the_same_photographs():
    jpeg, lossless = found("cifar10_jpeg"), found("cifar10_lossless5k")
    error = (jpeg.load("train").images[:4000].astype(float) - lossless.load("train").images) ** 2
    psnr = 10 * np.log10(255**2 / error.mean((1, 2, 3)))
    assert 30 < np.median(psnr) < 31 and psnr.min() > 22
    assert np.array_equal(jpeg.load("test").labels[:1000], lossless.load("test").labels)


@pytest.mark.slow
def test_celeba_sheets_have_the_official_partition_and_prepare_within_two_gigabytes(tmp_path):
    found("celeba_subset")
    code = (
        "import resource, sys; from suite.commands.main import app\n"
        "try: app(['data', 'prepare', 'celeba_subset', '--card', 'card.json'])\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    )
    env = os.environ | {"PARAMREL_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    card = json.loads(Path(tmp_path / "card.json").read_text())
    assert int(done.stdout.split()[-1]) < 2e9
    if sum(card["partition"].values()) == 46_715:
        assert card["partition"] == {"train": 37_540, "valid": 4535, "test": 4640}
    assert len(card["labels"]) == 40 and all(entry["official_digest"] for entry in card["inputs"])
