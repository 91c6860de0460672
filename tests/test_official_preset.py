"""The preset of the official InfoDiffusion settings: a miniature of it from files to metrics, and its published
numbers."""

import gzip
import hashlib

import numpy as np
import pandas as pd
import pytest
import torch

from metrics import metric
from paramrel.data import dataset
from paramrel.data._idx import idx_forms
from paramrel.data.fashionmnist_binarized import FashionMnistBinarized
from paramrel.settings import Runtime
from paramrel.training import official_rate, train
from suite.graph.cells import cells, make_cell, method_names
from suite.graph.config import load, resolve
from suite.measure.encode import encode
from suite.measure.evaluate import read_codes
from suite.measure.rows import ROW_COLUMNS
from suite.show.tables import table2
from tests.conftest import ROOT, run
from tests.example_rows import headings, texts

OFFICIAL = resolve(load(ROOT / "params.yaml"), "infodiffusion_official")
COUNTS = {"train": 70, "test": 60}
RUNTIME = Runtime(device="cpu", checkpoint_every=100, log_every=1)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@pytest.fixture
def fashion(tmp_path, monkeypatch):
    """Few images in official files: a bright square in a place of its class, on noise."""
    monkeypatch.setenv("PARAMREL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PARAMREL_CACHE", str(tmp_path / "cache"))
    rng, digests = np.random.default_rng(0), []
    for prefix, n in zip(("train", "t10k"), COUNTS.values(), strict=True):
        labels = np.arange(n, dtype=np.uint8) % 10
        images = rng.integers(0, 80, (n, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            row, column = 2 + 12 * (label // 5), 5 * (label % 5)
            image[row : row + 8, column : column + 6] = 220
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            path = tmp_path / f"data/FashionMNIST/raw/{prefix}-{kind}-ubyte.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(idx(array), mtime=0))
            digests.append(hashlib.md5(path.read_bytes()).hexdigest())
    forms = idx_forms("FashionMNIST", (), tuple(digests), ("0" * 32,) * 4)
    monkeypatch.setattr(FashionMnistBinarized, "forms", forms)
    monkeypatch.setattr(FashionMnistBinarized, "counts", COUNTS)
    return dataset("fashionmnist_32")


def test_it_passes_check_config():
    done = run("paramrel", "check-config", "--preset", "infodiffusion_official", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert '"schedule": "infodiffusion"' in done.stdout and '"beta_last": 0.01' in done.stdout


@pytest.fixture
def miniature():
    """All its settings but for narrow networks, two epochs and few sampling steps."""
    small = {
        "network": OFFICIAL.network.model_copy(update={"channels": 8, "groups": 8, "blocks": 1}),
        "train": OFFICIAL.train.model_copy(update={"epochs": 2}),
        "evaluate": OFFICIAL.evaluate.model_copy(update={"n_images": 20, "sampling_steps": 2}),
        "seeds": (0,),
    }
    return OFFICIAL.model_copy(update=small)


def test_it_trains_encodes_and_is_measured(fashion, miniature, tmp_path, monkeypatch):
    from suite.graph import cells as cells_module

    cells_module._n_images.cache_clear()
    try:
        made = cells(miniature)
        assert [cell.method for cell in made] == list(method_names(OFFICIAL, "fashionmnist_32"))
        for cell in made:
            check(cell, fashion, miniature, tmp_path / cell.method)
    finally:
        cells_module._n_images.cache_clear()


def check(cell, fashion, preset, folder):
    (folder / "run").mkdir(parents=True)
    (folder / "state").mkdir()
    train(cell.build(), fashion, 0, cell.train, RUNTIME, folder / "run", folder / "state")
    arrays, skipped = read_codes(encode(cell, preset.evaluate, RUNTIME, folder / "run"))
    width = {"pixels": 1024}.get(cell.method, 32)
    assert arrays["z"].shape == (60, width) and np.isfinite(arrays["z"]).all()
    assert arrays["x_test"].shape == (20, 1, 32, 32)
    for name in ("auroc", "accuracy"):
        assert 0 <= metric(name).compute(arrays, 0).value <= 1
    if cell.method in ("pca", "pixels", "untrained"):
        return
    assert cell.train.steps == 2 * (70 // 32)
    lines = pd.read_json(folder / "run/metrics.jsonl", lines=True)
    assert len(lines) == 4 and np.isfinite(lines.to_numpy()).all()
    for array in ("round_trip", "interpolated", "traversed", "samples"):
        assert array in arrays or len(skipped[array]) > 5, array
        assert array in skipped or np.isfinite(arrays[array]).all()
    assert ("samples" in arrays) == ("sampled" in arrays) == (cell.method != "ae")
    assert ("round_trip" in arrays) and ("subcode" in arrays) == (cell.method in ("diffae", "info_diffusion"))


def test_it_says_what_the_official_code_computes(fashion, miniature):
    """Mean squared error of images in [-1, 1], the sum of the KL, and a tenth of the flat MMD: no likelihood."""
    from paramrel.networks import initialise
    from paramrel.rng import Rng
    from suite.graph import cells as cells_module

    cells_module._n_images.cache_clear()
    rng, totals = Rng((0,)), {}
    x = torch.from_numpy(fashion.evaluation_images("train")[0][:32])
    for name in ("vae", "info_vae", "info_diffusion"):
        built = make_cell(miniature, "fashionmnist_32", name, "default", 0).build()
        initialise(built, rng)
        terms = built.loss(x, rng)
        totals[name] = (terms.total.item(), {key: value.item() for key, value in terms.reported.items()})
        if name != "info_diffusion":
            z = built._draw(x, rng)
            error = (2 * x - 1 - (2 * built._out(z) - 1)).square().mean().item()
            extra = terms.reported["kl"] if name == "vae" else 0.1 * terms.reported["mmd"]
            assert terms.total.item() == pytest.approx(error + extra.item(), rel=1e-5)
    total, terms = totals["info_diffusion"]
    assert set(terms) == {"eps", "latent", "mmd"}, "a point posterior has no KL"
    assert total == pytest.approx(terms["eps"] / 1024 + terms["latent"] + 0.1 * terms["mmd"], rel=1e-5)
    cells_module._n_images.cache_clear()
    assert [round(official_rate(epoch, 2), 2) for epoch in (0, 1)] == [1, 2]


def test_its_table_shows_the_published_accuracies_as_accuracies():
    found = [
        dict.fromkeys(ROW_COLUMNS, "")
        | {
            "dataset": "fashionmnist_32",
            "method": name,
            "variant": "default",
            "seed": 0,
            "metric": measure,
            "metric_version": 1,
            "fold": "mean",
            "value": 0.8,
            "n": 10,
            "chance": 0.5,
            "direction": "higher",
        }
        for name in ("pca", "vae", "info_diffusion")
        for measure in ("auroc", "accuracy")
    ]
    table = table2(pd.DataFrame(found, columns=list(ROW_COLUMNS)))
    shown = texts(table, "Fashion-MNIST (32x32 grey) accuracy, published")
    assert shown["VAE"] == "0.796 ± 0.002" and shown["InfoDiffusion"] == "0.839 ± 0.003"
    assert shown["PCA"] == "–"
    assert not any("32x32 grey) AUROC, published" in heading for heading in headings(table))
