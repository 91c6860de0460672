"""The benchmark of generation: what it counts, and that it goes on where it stopped."""

from argparse import Namespace

import numpy as np
import pytest

from benchmarks import generation
from benchmarks.generation import agreement, flow_of, known_rows, n_steps, picture, settings, speckle, write_rows
from paramrel.data import dataset
from paramrel.method import method
from paramrel.settings import Network
from tests.conftest import ROOT


def test_speckle_is_1_for_real_images_and_large_for_noise():
    real = np.tile(np.linspace(0.2, 0.8, 16), (4, 3, 16, 1))
    real[:, :, ::4, ::4] += 0.1
    noisy = real + np.random.default_rng(0).normal(0, 0.2, real.shape)
    assert speckle(real, real) == 1
    assert speckle(noisy, real) > 5


def test_speckle_of_one_odd_pixel_is_its_height_over_the_number_of_pixels():
    flat = np.zeros((1, 1, 8, 8))
    low, high = flat.copy(), flat.copy()
    low[0, 0, 4, 4], high[0, 0, 4, 4] = 0.25, 0.5
    assert speckle(high, low) == pytest.approx(2)


def test_steps_fill_the_budget_after_what_comes_before_them():
    slow_first = [
        0.0,
        *(7 + 9 * min(i, 2) + 0.5 * i for i in range(40)),
        90.0,
    ]  # 7 s before the first step, two slow steps
    assert n_steps(slow_first, budget=57) == 100
    assert n_steps(slow_first, budget=1) == generation.N_TIMED + 1


def test_a_picture_shows_each_pixel_as_a_square():
    images = np.random.default_rng(0).random((4, 3, 2, 5))
    shown = np.asarray(picture(images, columns=2, magnified=3))
    assert shown.shape == (2 * 2 * 3, 2 * 5 * 3, 3)
    expected = (images * 255).round().astype(np.uint8)
    assert (shown[:3, :3] == expected[0, :, 0, 0]).all() and (shown[-3:, -3:] == expected[3, :, -1, -1]).all()


@pytest.mark.parametrize("name", ["digits_binarized", "digits"])
def test_every_setting_is_one_that_its_method_knows(name):
    data = dataset(name)
    for setting in settings(flow_of(data)).values():
        cls = method(setting.method)
        assert cls.skip(data) is None
        Network(**generation.SQUARES | setting.network)
        cls.Config(**setting.config)


def test_the_probe_agrees_with_real_images_and_not_with_noise():
    data = dataset("digits_binarized")
    images, labels = data.evaluation_images("test", np.arange(200))
    noise = np.random.default_rng(0).integers(0, 2, images.shape)
    assert agreement("digits_binarized", images, labels) > 0.85 > 0.4 > agreement("digits_binarized", noise, labels)


def test_a_row_that_is_there_is_not_made_again(tmp_path, monkeypatch):
    options = Namespace(data="digits_binarized", minutes=1.0, seed=0, precision="fp32", only=["head"], out=tmp_path)
    made = []
    monkeypatch.setattr(generation, "table", lambda rows: "")
    monkeypatch.setattr(
        generation,
        "make_row",
        lambda name, setting, data, o: made.append(name) or generation.key_of(name, data, o) | {"x": 1},
    )
    monkeypatch.setattr(generation.argparse.ArgumentParser, "parse_args", lambda self: options)
    generation.main()
    generation.main()
    options.seed = 1
    generation.main()
    assert made == ["head", "head"]
    assert [row["seed"] for row in known_rows(tmp_path / "generation.csv")] == ["0", "1"]


def test_a_short_run_makes_a_whole_row(tmp_path, monkeypatch):
    tiny = {"channels": 4, "multipliers": (1, 2), "blocks": 1, "groups": 2, "latent_dim": 8, "unshuffle": 2}
    monkeypatch.setattr(generation, "NETWORKS", {"digits_binarized": tiny})
    for name, value in (("N_IMAGES", 40), ("N_CODES", 200), ("STEPS", 2), ("N_TIMED", 4), ("N_WARM", 1)):
        monkeypatch.setattr(generation, name, value)
    data = dataset("digits_binarized")
    options = Namespace(data=data.name, minutes=0.001, seed=0, precision="fp32", out=tmp_path)
    row = generation.make_row("head", settings("paramrel_d")["head"], data, options)
    write_rows(tmp_path / "generation.csv", [row])
    assert all(np.isfinite(value) for value in row.values() if isinstance(value, float))
    assert [path.suffix for path in tmp_path.iterdir()].count(".png") == 1


def test_the_page_has_the_benchmarks_rows():
    rows = known_rows(ROOT / "benchmarks/generation.csv")
    page = (ROOT / "docs/generation.md").read_text()
    missing = [line for line in generation.table(rows).splitlines() if line not in page]
    assert rows and not missing, "\n".join(["copy these lines:", *missing])
