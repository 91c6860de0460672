"""Figures: the same files give the same bytes, one look per method, nothing breaks where a cell is missing."""

import itertools
import json
import shutil
from pathlib import Path

import matplotlib.text
import numpy as np
import pytest
import yaml

from paramrel.method import methods
from suite.graph.cells import cells, run_dir
from suite.graph.config import load, parse, resolve
from suite.graph.names import codes_name, metrics_name
from suite.graph.plan import Plan, write_stamp
from suite.graph.results import FIGURE_NAMES, USE_FIGURES
from suite.show import strips, style
from suite.show.captions import CAPTIONS
from suite.show.figures import FIGURES
from suite.show.figures.distributions import beyond
from suite.show.strips import Block, PageSizes, Strip, page, pixels, wrapped
from suite.show.style import broken, look_of, nothing, save
from tests.conftest import ROOT, TINY_PRESET

SMALLEST, TALLEST, WIDEST = 6, 12.2, 7.3
PAPER = {
    "reconstructions": "9", "round_trips": "9", "samples": "10", "samples_detail": "11", "generation": "3",
    "time_varying": "3", "interpolation": "4", "traversal": "5", "flow": "6",
}  # fmt: skip
TIMES = np.array([0.1, 0.5, 1.0])


@pytest.fixture(scope="module")
def preset():
    """Two data sets, two seeds, methods of every kind."""
    written = TINY_PRESET | {
        "datasets": ["digits_binarized", "shapes3d_rendered_16"],
        "methods": ["pca", "pixels", "vae", "diffae", "paramrel_c", "paramrel_d"],
    }
    return resolve(parse({"preset": "tiny", "presets": {"tiny": written}}, "a test"), "tiny")


def codes(cell, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Arrays as ``paramrel encode`` writes them, of noise."""
    shape = (1, 8, 8) if cell.dataset == "digits_binarized" else (3, 16, 16)

    def images(*lead: int) -> np.ndarray:
        return rng.random((*lead, *shape), np.float32)

    made = {"x_test": images(20), "y": rng.integers(0, 4, (50, 3)), "y_names": np.array(["floor", "wall", "shape"])}
    if cell.method == "pixels":
        return made
    if cell.method in ("vae", "paramrel_d"):  # as if they read tokens
        made["token_attention"] = rng.random((8, 8, *shape[1:])).astype(np.float16)
    made |= {"decoded": images(20), "reconstructed": images(20), "interpolated": images(8, 9)}
    made |= {"interpolated_slerp": images(8, 9), "traversed": images(4, 11), "traversed_dims": np.arange(4)}
    made |= {"round_trip": images(20), "round_trip_permuted": images(20), "from_code": images(20)}
    if cell.method.startswith("paramrel"):
        made |= {"time_varying": images(4, 3), "time_source": images(4), "progressive_s": TIMES}
        made |= {"flow_paths": rng.normal(size=(11, 200)), "flow_x": rng.random(200)}
        made |= {"fixed_z": images(2, 8), "fixed_subcode": images(2, 8), "subcode": images(20)}
    else:
        made |= {f"skipped/{name}": np.array("it has no flow") for name in ("time_varying", "fixed_z", "flow_paths")}
    if cell.method not in ("pca", "diffae"):
        made |= {"nll_data": 50 + rng.random(20), "nll_kl": 20 * rng.random(20), "samples": images(64)}
        made |= {"generated": images(20), "generated_permuted": images(20), "reconstructed_permuted": images(20)}
    return made


def measured(cell, rng: np.random.Generator) -> list[dict]:
    """Rows as ``paramrel evaluate`` writes them, of noise."""
    values = {"auroc": rng.uniform(0.8, 1), "accuracy": rng.random(), "permuted_ratio": 10 ** rng.uniform(0, 2)}
    extra: dict[str, dict] = {}
    if cell.method not in ("pca", "pixels"):
        values["bits_per_dim"] = rng.random()
    if cell.dataset == "shapes3d_rendered_16":
        values["tad"] = rng.random()
        auroc = rng.uniform(0.5, 1, (5, 40 if cell.method == "pixels" else 8))
        auroc[4] = np.nan
        attributes = [{"name": f"a_{i}", "captured": bool(auroc[i].max() > 0.75)} for i in range(5)]
        plain = [[None if np.isnan(value) else value for value in row] for row in auroc]
        values["dci"], extra["dci"] = (
            rng.random(),
            {"importance": rng.random((8, 3)).tolist(), "factors": ["floor", "wall", "shape"]},
        )
        extra["tad"] = {"auroc": plain, "attributes": attributes}
    if cell.method.startswith("paramrel"):
        values["auroc_progressive"] = rng.random()
        extra["auroc_progressive"] = {"s": TIMES.tolist(), "curve": rng.random(3).tolist()}
    rows = [
        {"metric": name, "value": float(value), "chance": 0.5, "extra": extra.get(name, {})}
        for name, value in values.items()
    ]
    return [*rows, {"metric": "mig", "value": None, "chance": None, "extra": {}}]


def write_files(preset, folder: Path) -> None:
    """Files of every cell."""
    for i, cell in enumerate(cells(preset)):
        run, rng = run_dir(folder, cell), np.random.default_rng(i)
        run.mkdir(parents=True)
        np.savez(run / codes_name(preset.evaluate), **codes(cell, rng))
        (run / metrics_name(preset.evaluate)).write_text(json.dumps({"rows": measured(cell, rng)}))
        terms = {"reconstruction": 50.0, "kl": 2.0, "mmd": 0.1, "loss": 1.0, "grad_norm": 3.0}
        lines = [
            json.dumps({"step": 5 * k} | {name: value / (k + 1) for name, value in terms.items()}) for k in range(9)
        ]
        (run / "metrics.jsonl").write_text("\n".join(lines) if methods()[cell.method].trained else "")


@pytest.fixture(scope="module")
def runs(preset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_files(preset, folder)
    return folder


def texts(figure) -> list[matplotlib.text.Text]:
    figure.draw_without_rendering()
    return [text for text in figure.findobj(matplotlib.text.Text) if text.get_visible() and text.get_text().strip()]


def words(figure) -> str:
    return " ".join(" ".join(text.get_text().split()) for text in texts(figure))


def test_every_figure_has_words_and_a_maker():
    assert tuple(FIGURES) == FIGURE_NAMES == tuple(CAPTIONS) and len(set(FIGURE_NAMES)) == len(FIGURE_NAMES)
    assert set(USE_FIGURES.values()) <= set(FIGURE_NAMES)
    for name, entry in FIGURES.items():
        assert len(entry.caption) > 80 and entry.caption.endswith(".") and len(entry.alt) > 40 and callable(entry.make)
        assert entry.alt != entry.caption and "  " not in entry.caption + entry.alt
        if name in PAPER:
            assert entry.caption.startswith(
                f"Figure{'s' if name in ('reconstructions', 'round_trips') else ''} {PAPER[name]}"
            ), name
    assert len({entry.caption for entry in FIGURES.values()}) == len(FIGURES)


@pytest.mark.parametrize("name", FIGURE_NAMES)
def test_a_figure_is_a_pure_function_and_can_be_read(name, preset, runs, tmp_path):
    made = []
    for attempt in ("one", "two"):
        figure = FIGURES[name].make(preset, runs)
        assert "nothing to show" not in words(figure)
        small = [text.get_text() for text in texts(figure) if text.get_fontsize() < SMALLEST]
        assert not small, f"set in less than {SMALLEST} pt: {small}"
        width, height = figure.get_size_inches()
        assert height <= TALLEST and width <= WIDEST
        save(figure, tmp_path / attempt / name)
        made.append([(tmp_path / attempt / f"{name}.{suffix}").read_bytes() for suffix in ("png", "pdf")])
    assert made[0] == made[1]
    assert not style.plt.get_fignums(), "a figure was left open"


def test_a_layout_that_is_off_by_nothing_changes_nothing(tmp_path):
    """The layout's solver puts a part's corner at 0 or at the smallest negative number, as its memory happens to
    lie."""
    made = []
    for attempt, corner in (("one", 0.0), ("two", -1e-17)):
        figure = style.plt.figure(figsize=(2, 2))
        part = figure.subfigures(1, 1)
        part.subfigures(2, 1)[1].bbox_relative.p0 = part.bbox_relative.p0 = (corner, corner)
        save(figure, tmp_path / attempt)
        made.append((tmp_path / f"{attempt}.pdf").read_bytes())
    assert made[0] == made[1]


@pytest.mark.parametrize("name", FIGURE_NAMES)
def test_missing_and_failed_cells_are_left_out_and_named(name, preset, runs, tmp_path):
    left = tmp_path / "runs"
    shutil.copytree(runs, left)
    for path in left.glob("*/vae-default/*"):
        shutil.rmtree(path)  # a method that failed
    for path in left.glob("*/paramrel_d-ahead/seed0-*"):
        shutil.rmtree(path)  # a seed that failed: pictures show the next
    shown = words(FIGURES[name].make(preset, left))
    assert "VAE" in shown or name in ("flow", "samples_detail", "tad", "progressive"), shown
    if name in ("progressive", "seeds", "training_curves", "rate_distortion", "likelihood_auroc", "tad", "importance"):
        assert (
            "Missing, not trained or failed" in shown
            and "ParamReL_d (ahead) on digits (8x8 binarised) (seed 0)" in shown
        )
    elif name != "flow":
        assert "no codes: not trained, or failed" in shown and "ParamReL_d (ahead)" in shown
    shutil.rmtree(left)
    empty = words(FIGURES[name].make(preset, left))
    assert "nothing to show" in empty and "as far as it was run" in empty
    style.plt.close("all")


def distances(colours: list[str], seen: np.ndarray) -> np.ndarray:
    """How far colours are from each other, CIE76, as one kind of people sees them: (N, N)."""
    found = np.array([lab(seen @ linear(colour)) for colour in colours])
    return np.linalg.norm(found[:, None] - found, axis=2)


def test_present_methods_are_told_apart_also_by_the_colour_blind():
    """By colour where they share a marker; who sees all colours can do so by colour alone."""
    assert set(style.CHOSEN) <= set(methods()), "a look of a method that is no more"
    names, looks = list(style.CHOSEN), [look_of(name) for name in style.CHOSEN]
    for kind, seen in SEEN.items():
        apart = distances([look.colour for look in looks], seen)
        for i, j in itertools.combinations(range(len(names)), 2):
            least = 20 if looks[i].marker == looks[j].marker else 14 if kind == "most" else 0
            assert apart[i, j] >= least, f"{names[i]}, {names[j]} look alike to {kind}: {apart[i, j]:.0f}"


def test_a_new_method_changes_no_other_ones_look(tmp_path, monkeypatch):
    before = {name: look_of(name) for name in methods()}
    (tmp_path / "aae.py").write_text(
        "from baselines.ae import Ae\n\n\nclass Aae(Ae):\n    name = 'aae'\n    title = 'AAE'\n"
    )
    monkeypatch.setenv("PARAMREL_PLUGINS", str(tmp_path / "aae.py"))
    look_of.cache_clear()
    assert set(methods()) == {*before, "aae"}
    assert {name: look_of(name) for name in before} == before
    assert look_of("aae") == style.derived("aae") and look_of("aae").marker in style.FURTHER


def test_looks_from_names_are_the_same_in_every_process_and_differ():
    assert style.derived("aae") == style.Look("#767b23", "p")
    found = [style.derived(f"method_{i}") for i in range(30)]
    assert len({(look.colour, look.marker) for look in found}) == 30
    assert not {marker for _, marker in style.CHOSEN.values()} & set(style.FURTHER)
    white = [distances(["#ffffff", look.colour], np.eye(3))[0, 1] for look in found]
    assert min(white) > 50, "too light on white"


def test_variants_of_a_method_differ():
    base = look_of("paramrel_d")
    variants = [style.look("paramrel_d", order) for order in range(30)]
    assert {v.marker for v in variants} == {base.marker}
    assert {v.colour for v in variants[:5]} == {base.colour}
    assert len({(v.line, v.fill) for v in variants}) == 30
    assert len({(v.colour, v.fill) for v in variants[:25]}) == 25, "marks without lines"
    params = load(ROOT / "params.yaml")
    presets = [resolve(params, name) for name in params.presets]
    assert 10 < max(len(of.variants or ()) for preset in presets for of in preset.per_method.values()) <= 25


SEEN = {
    "most": np.eye(3),
    "protanopes": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopes": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
"""What is seen of linear RGB: Machado, Oliveira and Fernandes, 2009, severity 1."""


def linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of linear RGB."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ rgb.clip(0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_long_names_are_broken_where_panels_are_narrow():
    assert broken("PCA", 12) == "PCA" and broken("untrained encoder", 12) == "untrained\nencoder"
    assert broken("ParamReL_c (tokens_20_no_dropout)", 12) == "ParamReL_c\n(tokens_20_\nno_dropout)"
    assert broken("ParamReL_c (tokens_20_no_dropout)", 30) == "ParamReL_c\n(tokens_20_no_dropout)"
    assert broken("ParamReL_c (tokens_20)", 30) == "ParamReL_c (tokens_20)"


def test_no_legend_is_wider_than_its_figure():
    names = [("paramrel_c", "a_variant_with_a_long_name_" + "x" * i, i) for i in range(8)]
    for width in (style.COLUMN, style.PAGE):
        figure = style.plt.figure(figsize=(width, 3), layout="constrained")
        style.legend(figure, names, lines=True)
        figure.draw_without_rendering()
        box = figure.legends[0].get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
        style.plt.close(figure)


@pytest.mark.parametrize("name", ["progressive", "rate_distortion", "likelihood_auroc"])
def test_a_legend_of_many_names_leaves_the_panels_their_height(name, tmp_path):
    """Preset ablations: 28 names on a single data set once pressed its panel into a line."""
    variants = {f"lambda_{i}": {"lambda_mmd": i / 10} for i in range(28)}
    written = TINY_PRESET | {"methods": ["paramrel_d"], "per_method": {"paramrel_d": {"variants": variants}}}
    many = resolve(parse({"preset": "many", "presets": {"many": written}}, "a test"), "many")
    write_files(many, tmp_path)
    figure = FIGURES[name].make(many, tmp_path)
    figure.draw_without_rendering()
    shown = [axis for axis in figure.axes if axis.axison]
    assert shown and min(axis.get_position().height for axis in shown) * figure.get_figheight() > 1.2
    assert len(figure.legends[0].get_texts()) == 28
    style.plt.close(figure)


def test_a_point_far_from_all_others_is_named_and_presses_none_of_them_together():
    near = {name: np.array([[1.0, 3.0 + i]]) for i, name in enumerate("abcd")}
    assert beyond(near) == {}
    assert set(beyond(near | {"far": np.array([[1.0, 3.5], [1.0, 900.0]])})) == {"far"}
    assert beyond({name: np.zeros((1, 2)) for name in "ab"} | {"c": np.ones((1, 2))}) == {}, "no scale to be far on"


def test_a_pixel_is_a_whole_square():
    image = np.zeros((2, 1, 8, 8), np.float32)
    image[0, 0, 3, 5] = 1
    scale = PageSizes().scale(image)
    strip = pixels(image, scale)
    assert strip.shape == (8 * scale + strips.GAP, 2 * (8 * scale + strips.GAP), 3)
    lit = np.argwhere((strip == 255).all(2)) - strips.GAP // 2
    assert lit.min(0).tolist() == [3 * scale, 5 * scale] and len(lit) == scale**2
    figure = page([Block("a", "b", (Strip("c", (image,)),))])
    figure.canvas.draw()
    drawn = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    assert drawn.shape[1] == round(figure.get_figwidth() * strips.DPI)
    left = strips.MARGIN + strips.LABEL
    top = np.flatnonzero((drawn[:, left] == strips.GREY).all(1))[0]
    assert (drawn[top : top + len(strip), left : left + strip.shape[1]] == strip).all(), "it was resampled"
    style.plt.close(figure)


@pytest.mark.parametrize("side", [8, 16, 28, 32, 64, 100])
def test_rows_of_every_size_of_image_fit(side):
    images = np.zeros((11, 3, side, side), np.float32)
    layout = PageSizes()
    assert pixels(images, layout.scale(images)).shape[1] <= layout.images or side == 100
    assert len(wrapped("", images)) == 1 or side == 100
    assert wrapped("a", images[:1])[0].label == "a"
    assert sum(len(row.parts[0]) for row in wrapped("", np.zeros((30, 3, side, side)))) == 30


@pytest.mark.parametrize("n", [1, 10, 33, 34])
def test_wrapped_rows_are_few_and_of_equal_length(n):
    images, layout = np.zeros((n, 1, 28, 28), np.float32), PageSizes()
    lengths = [len(row.parts[0]) for row in wrapped("", images, layout)]
    assert sum(lengths) == n and len(lengths) == -(-n // layout.fits(images))
    assert max(lengths) - min(lengths) < len(lengths), "a last row of a single image"


def test_what_is_too_high_goes_on_in_a_further_column():
    row = Strip("", (np.zeros((11, 1, 8, 8)),))
    for n in (1, 12, 60):
        figure = page([Block("digits" if i < n / 2 else "shapes", str(i), (row, row)) for i in range(n)])
        assert figure.get_figheight() <= TALLEST
        headings = [text.get_text() for text in texts(figure)]
        assert all(str(i) in headings for i in range(n)) and "digits" in headings
        style.plt.close(figure)


def test_a_stamp_of_copies_names_the_copies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump({"preset": "tiny", "presets": {"tiny": TINY_PRESET | {"methods": ["pca"]}}})
    )
    plan = Plan.read({})
    drawn, stamp = tmp_path / plan.drawn, tmp_path / plan.stamp("flow")
    save(nothing("a test"), drawn / "flow")
    write_stamp(stamp, plan.figure("flow"), plan.evidence(), drawn)
    assert plan.false_stamps() == [plan.stamp("flow")], "the copies are not there yet"
    for path in plan.figure("flow"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn / path.rsplit("/", 1)[1], path)
    assert plan.false_stamps() == []
