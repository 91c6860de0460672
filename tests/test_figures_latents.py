"""Figures of what single latents stand for: pure functions of the arrays and measurements of a preset's cells."""

import json
from io import BytesIO

import numpy as np
import pytest
from matplotlib.text import Text

from suite.graph.cells import cells, run_dir
from suite.graph.config import parse, resolve
from suite.graph.names import codes_name, explorer_name, metrics_name
from suite.show.figures.latents import (
    Panel,
    importance,
    importance_panels,
    leading,
    main_factor,
    panels_figure,
    places,
    reading_order,
)
from suite.show.figures.pictures import attention, attention_image
from suite.show.style import plt
from tests.conftest import TINY_PRESET

FACTORS = ("floor", "wall", "shape")


@pytest.fixture(autouse=True)
def closed():
    """No figure is left open for other tests."""
    yield
    plt.close("all")


def test_latents_are_shown_as_a_staircase():
    importance = np.array([[0.1, 0.2, 0.6], [0.7, 0.1, 0.0], [0.0, 0.9, 0.1], [0.2, 0.1, 0.1], [0.0, 0.0, 0.2]])
    assert main_factor(importance).tolist() == [2, 0, 1, 0, 2]
    assert reading_order(importance).tolist() == [1, 3, 2, 0, 4]


def test_the_latent_that_matters_most_is_traversed_for_each_factor():
    importance = np.array([[0.1, 0.2, 0.6], [0.7, 0.1, 0.0], [0.0, 0.9, 0.1], [0.8, 0.1, 0.1], [0.0, 0.0, 0.2]])
    assert leading(importance, (0, 1, 2, 3, 4), 6) == [3, 2, 0]
    assert leading(importance, (4, 1, 2), 6) == [1, 2, 4], "of those that were traversed"
    assert leading(importance, (0, 1, 2, 3, 4), 2) == [3, 2], "the most important ones, in the order of factors"


def test_variants_of_a_method_stand_side_by_side():
    def placed(*names: str) -> list[tuple[int, int]]:
        return places([Panel(name, name, np.eye(2), ("a", "b")) for name in names], 3)

    assert placed("pca", "ica", "p", "p") == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert placed("pca", "p", "p", "q") == [(0, 0), (0, 1), (0, 2), (1, 0)], "they fit where they are"
    assert placed("pca", "p", "p", "p", "p") == [(0, 0), (1, 0), (1, 1), (1, 2), (2, 0)]


def test_a_token_lights_what_reads_it():
    image = np.full((3, 4, 4), 0.8)
    shares = np.zeros((10, 4, 4))
    shares[0, :2], shares[1, 2:] = 0.6, 0.2
    shown = attention_image(image, shares)
    assert shown.shape == (11, 3, 4, 4) and np.array_equal(shown[0], image)
    assert (shown[1, :, :2] == 0.8).all() and (shown[1, :, 2:] == 0).all()
    assert np.allclose(shown[2, :, 2:], 0.4), "twice an equal share of ten: half as bright"
    assert (attention_image(image, 0 * shares)[1:] == 0).all()


@pytest.fixture
def measured(tmp_path):
    """A preset of AdaGN and tokens with files of codes and metrics, and the runs' folder."""
    variants = {"adagn": {}, "tokens": {"network": {"conditioning": "tokens"}}}
    changed = {
        "datasets": ["digits"],
        "methods": ["pca", "paramrel_c"],
        "per_method": {"paramrel_c": {"variants": variants}},
    }
    preset = resolve(parse({"preset": "t", "presets": {"t": TINY_PRESET | changed}}, "p"), "t")
    rng = np.random.default_rng(0)
    for cell in cells(preset):
        run = run_dir(tmp_path, cell)
        run.mkdir(parents=True)
        arrays = {
            "x_test": rng.random((10, 1, 8, 8)),
        }  # fmt: skip
        if cell.method != "pca":
            frames = {
                "traversed": rng.integers(0, 256, (2, 8, 11, 1, 8, 8), np.uint8),
                "dims": np.array([3, 0, 7, 1, 2, 6, 5, 4]),
            }
            np.savez(run / explorer_name(preset.evaluate), **frames)
        if cell.variant == "tokens":
            arrays["token_attention"] = rng.dirichlet(np.ones(8), (8, 8, 8)).transpose(0, 3, 1, 2).astype(np.float16)
        np.savez(run / codes_name(preset.evaluate), **arrays)
        rows = [
            {"metric": "dci", "value": 0.4, "extra": {"importance": rng.random((8, 3)).tolist(), "factors": FACTORS}},
            {"metric": "tad", "value": 0.1, "extra": {}},
        ]
        (run / metrics_name(preset.evaluate)).write_text(json.dumps({"rows": rows}))
    return preset, tmp_path


def test_every_cell_of_the_first_seed_has_a_panel(measured):
    panels = importance_panels(*measured)
    assert [panel.title.splitlines()[0] for panel in panels] == ["PCA", "ParamReL_c (adagn)", "ParamReL_c (tokens)"]
    assert all(panel.factors == FACTORS and panel.importance.shape == (8, 3) for panel in panels)
    assert panels[0].traversed is None
    for panel, cell in zip(
        panels[1:], [c for c in cells(measured[0]) if c.method != "pca" and c.seed == 0], strict=True
    ):
        assert len({main_factor(panel.importance)[dim] for dim in panel.dims}) == len(panel.dims), "one per factor"
        with np.load(run_dir(measured[1], cell) / explorer_name(measured[0].evaluate)) as frames:
            at = frames["dims"].tolist().index(panel.dims[0])
            assert np.allclose(panel.traversed[0] * 255, frames["traversed"][0, at])
    figure = panels_figure(panels)
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 2, "traversals of the two that can"
    order = reading_order(panels[0].importance)
    assert np.array_equal(figure.axes[0].collections[0].get_array(), panels[0].importance[order])


def test_the_same_files_give_the_same_picture(measured):
    for make in (importance, attention):
        first, second = BytesIO(), BytesIO()
        for stream in (first, second):
            make(*measured).savefig(stream, format="png")
        assert first.getvalue() == second.getvalue() and len(first.getvalue()) > 10_000


def test_attention_is_of_those_that_read_tokens(measured):
    figure = attention(*measured)
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert any("ParamReL_c (tokens)" in text for text in texts) and not any("adagn" in text for text in texts)
    preset, runs = measured
    for path in runs.rglob("codes-*.npz"):
        with np.load(path) as file:
            kept = {name: file[name] for name in file.files if name != "token_attention"}
        np.savez(path, **kept)
    assert "nothing to show" in attention(preset, runs).texts[0].get_text()


def test_without_factors_the_figure_says_why(measured):
    preset, runs = measured
    for path in runs.rglob("metrics-*.json"):
        path.write_text(json.dumps({"rows": [{"metric": "dci", "value": 0.4, "extra": {}}]}))
    assert "no data set of this preset has factors" in importance(preset, runs).texts[0].get_text()
