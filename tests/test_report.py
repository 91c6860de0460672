"""The page of all results: it says what the rows say, where it comes from, what is missing, and works in a browser."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from metrics import metrics
from paramrel.data import dataset
from paramrel.errors import UserError
from paramrel.method import methods
from paramrel.rng import Rng
from suite.graph.cells import cells, explored
from suite.graph.config import load, resolve
from suite.graph.names import explorer_name
from suite.graph.plan import Plan
from suite.graph.results import FIGURE_NAMES
from suite.measure.frames import frames
from suite.measure.rows import ROW_COLUMNS, read_rows, write_rows
from suite.measure.showcase import N_STOPS, TIMES
from suite.show.report import write_report
from suite.show.report.embedded import QUALITIES, sprite
from suite.show.report.headline import sentences
from tests.conftest import TINY_PRESET
from tests.example_rows import example, row, table
from tests.toys import build, images

COMMIT = "c0ffee" * 6 + "c0ff"
METHODS = ["pca", "vae", "diffae", "paramrel_d"]
VALUES = {"auroc": 0.9, "accuracy": 0.8, "agreement": 0.5, "permuted_ratio": 2.0, "kl": 3.0, "bits_per_dim": 0.4}
HOSTILE = "</script><b onmouseover='x'>a log & more"
SHIFT = {"paramrel_d": 0.05, "vae": 0.02}


def fabricated(wanted, without: frozenset[str] = frozenset()) -> pd.DataFrame:
    """Rows of cells as ``collect`` gives them, with folds, dashes, chance levels and a control."""
    found = []
    for cell in wanted:
        if cell.hash in without:
            continue
        for name, base in VALUES.items():
            missing = cell.method == "pca" and name in ("agreement", "permuted_ratio", "kl", "bits_per_dim")
            ignores = cell.variant == "self" and name == "permuted_ratio"
            value = None if missing else 1.0 if ignores else base + SHIFT.get(cell.method, 0) + 0.001 * cell.seed
            row = {
                "dataset": cell.dataset,
                "data_sha256": "29b0041ce614",
                "method": cell.method,
                "variant": cell.variant,
                "seed": cell.seed,
                "cell": cell.hash,
                "metric": name,
                "metric_version": metrics()[name].version,
                "value": value,
                "n": 0 if missing else 40,
                "direction": metrics()[name].direction,
                "unit": metrics()[name].unit,
                "note": HOSTILE if missing else "",
                "fold": "mean",
                "chance": 0.1 if name in ("accuracy", "agreement") and not missing else None,
            }
            found.append(row)
            if name == "accuracy":
                found += [row | {"fold": str(i), "value": value + 0.01 * i, "chance": None} for i in range(3)]
                if cell is wanted[-1]:
                    found.append(row | {"fold": "shuffled", "value": 0.123})
    return pd.DataFrame(found, columns=list(ROW_COLUMNS))


def recorded(wanted) -> pd.DataFrame:
    """Lines of runs.csv."""
    return pd.DataFrame(
        [
            {
                "dataset": cell.dataset,
                "method": cell.method,
                "variant": cell.variant,
                "seed": cell.seed,
                "cell": cell.hash,
                "parameters": 1234,
                "seconds": 5.6,
                "peak_memory_mib": 789,
                "commit": COMMIT,
                "dirty": False,
                "encoded_by": f"commit {'decade' * 6}fade",
                "measured_by": f"commit {'facade' * 6}fade with uncommitted changes",
                "lock_sha256": "050cdae364fd",
                "processor": "a processor",
                "capability": "AVX2",
                "blas": "Haswell",
                "threads": 1,
                "device": "cpu",
                "python": "3.11.7",
                "torch": "2.15.0",
                "numpy": "2.4.6",
                "scikit-learn": "1.9.1",
            }
            for cell in wanted
        ]
    )


def draw_frames(path: Path, cell) -> None:
    """Frames in which every latent moves another pixel; flows also have frames along s."""
    rng = np.random.default_rng(0)
    source = rng.integers(0, 2, (2, 1, 8, 8)).astype(np.uint8) * 255
    moved = np.broadcast_to(source[:, None, None], (2, 8, N_STOPS, 1, 8, 8)).copy()
    for k in range(8):
        moved[:, k, :, 0, k, k] = np.linspace(0, 255, N_STOPS).astype(np.uint8)
    arrays = {
        "source": source,
        "own": source,
        "traversed": moved,
        "dims": np.arange(8),
        "source_labels": np.array(["class 3", "class 5"]),
        "own_at": np.full((2, 8), 0.5),
    }
    if cell.method.startswith("paramrel"):
        along = np.stack([np.full((2, 1, 8, 8), 20 * i, np.uint8) for i in range(len(TIMES))], 1)
        arrays |= {"along": along, "along_s": np.array(TIMES)}
    else:
        arrays["skipped/along"] = np.array("its code has no flow time")
    path.parent.mkdir(parents=True)
    np.savez_compressed(path, **arrays)


class Folder:
    """A folder with a preset and results that nothing computed, and its page."""

    def __init__(self, here: Path, **changes) -> None:
        self.here, self.config = here, here / "params.yaml"
        preset = TINY_PRESET | {"methods": METHODS, "seeds": [0, 1, 2]} | changes
        self.config.write_text(yaml.safe_dump({"preset": "tiny", "presets": {"tiny": preset}}))
        self.preset = resolve(load(self.config), "tiny")
        self.cells = cells(self.preset)
        self.results = here / "results/tiny"
        self.rows()
        recorded(self.cells).to_csv(self.results / "runs.csv", index=False)
        for i, name in enumerate(FIGURE_NAMES):
            path = self.results / f"figures/{name}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (400 + 200 * i, 300), (250, 250 - 10 * i, 240)).save(path)
        for cell in explored(self.preset):
            draw_frames(here / "runs" / cell.path / explorer_name(self.preset.evaluate), cell)

    def rows(self, without: frozenset[str] = frozenset()) -> None:
        self.results.mkdir(parents=True, exist_ok=True)
        write_rows(fabricated(self.cells, without), self.results / "rows.csv")

    def page(self, name: str = "report.html") -> str:
        page = self.results / name
        size = write_report(self.preset, "tiny", self.config, self.here / "runs", self.here / "state", page)
        assert size == page.stat().st_size
        return page.read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Folder:
    """Everything is there; the page is built."""
    folder = Folder(tmp_path_factory.mktemp("whole"))
    folder.page()
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Folder:
    """Everything is there; to take from."""
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path)


class Page(HTMLParser):
    """What a reader of the page meets: tags, ids, headings, tables with the groups behind their cells, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.tables: list[list[list[tuple[str, str | None]]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append(("", None))
        elif tag == "button" and "data-group" in dict(attributes):
            self.tables[-1][-1][-1] = ("", dict(attributes)["data-group"])

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if {"script", "style"} & set(self._open):
            return
        self.words.append(data)
        if {"th", "td"} & set(self._open):
            text, group = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = (text + data, group)


def held(text: str, name: str):
    """The JSON in a page."""
    return json.loads(
        re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.DOTALL).group(1)
    )


def test_the_same_inputs_give_the_same_bytes(whole):
    assert whole.page("again.html") == (whole.results / "report.html").read_text()


def test_the_page_needs_nothing_but_itself(whole):
    text = (whole.results / "report.html").read_text()
    page = Page(text)
    for tag, attributes in page.tags:
        assert not attributes.get("src", "data:").startswith(("http", "//", "/")), (tag, attributes["src"][:80])
        assert tag not in ("iframe", "object", "embed", "base") and "onclick" not in attributes
        if "href" in attributes:
            assert attributes["href"].startswith(("#", "data:")), attributes["href"]
    assert "url(" not in text and "@import" not in text and "import(" not in text and "fetch(" not in text
    assert len(text) < 3e6
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == len(FIGURE_NAMES)
    assert all(image["src"].startswith("data:image/webp;base64,") and len(image["alt"]) > 10 for image in images)


def test_reasons_and_logs_cannot_become_markup(whole):
    text = (whole.results / "report.html").read_text()
    assert "<b onmouseover" not in text and "&lt;/script&gt;" in text
    assert HOSTILE in Page(text).text, "it is shown as it is"
    assert len(held(text, "data")["groups"]) > 10


def test_every_number_of_every_table_leads_to_the_rows_that_give_it(whole):
    text = (whole.results / "report.html").read_text()
    page, data, rows = Page(text), held(text, "data"), read_rows(whole.results / "rows.csv")
    checked = 0
    for shown_table in page.tables[:-1]:  # the last one shows reasons
        for line in shown_table[1:]:
            for shown, number in line:
                if not re.match(r"^[−-]?\d", shown):
                    continue
                assert number is not None, f"nothing stands behind {shown} in {line}"
                group = data["groups"][int(number)]
                if group["file"] != "rows.csv" or group["minus"]:
                    continue
                behind = rows.loc[[line - 2 for line in group["lines"]]]
                mean, digits = behind[group["column"]].mean(), len(shown.split(" ")[0].partition(".")[2])
                assert shown.split(" ")[0] == f"{mean:.{digits}f}", (shown, group)
                for number_of_line in group["lines"]:
                    held_line = data["lines"]["rows.csv"][str(number_of_line)]
                    assert held_line["cell"] == rows.loc[number_of_line - 2].cell
                    assert held_line["cell"] in data["runs"] or group["column"] == "chance"
                checked += 1
    assert checked > 40
    accuracy = [
        line for line in data["lines"]["rows.csv"].values() if line["metric"] == "accuracy" and line["fold"] == "mean"
    ]
    assert all(len(line["folds"]) == 3 for line in accuracy)


def test_configurations_are_the_cells_own(whole):
    data = held((whole.results / "report.html").read_text(), "data")
    for cell in whole.cells:
        found = data["configurations"][data["configuration_of"][cell.hash]]
        assert found | {"seed": cell.seed} == cell.resolved
    assert len(data["configurations"]) == len({(cell.method, cell.variant) for cell in whole.cells})


def test_the_sentences_say_what_the_rows_say(whole):
    text = Page((whole.results / "report.html").read_text()).text
    assert "reads labels best from ParamReL_d" in text and "AUROC 0.9510 ± 0.0025" in text
    assert "their intervals overlap" in text and "Without any training: PCA 0.9010 ± 0.0025" in text
    assert "1 of 5 decoders hardly uses its latent" in text and "ParamReL_d (self) (1.00 ± 0.00)" in text
    assert "class agreement 0.551 ± 0.002 (chance 0.100)" in text and "Means over 3 seeds" in text
    assert "every training that the preset names is in the tables" in text


def test_decoders_whose_images_do_not_keep_labels_are_named():
    """By the share of the largest class, also where another code costs them more than 1.05 times the loss."""
    rows = example(seeds=range(3), bases=(("vae", "default", 0.8), ("paramrel_d", "self", 0.1)), metrics=("agreement",))
    said = sentences(rows.assign(chance=0.5))
    assert sum("largest class" in sentence for sentence in said) == 1
    text = next(sentence for sentence in said if "largest class" in sentence)
    assert "most often for VAE" in text and "(chance 0.500); no more often" in text
    assert text.endswith("."), text
    assert re.search(r"largest class, .*, for ParamReL_d \(self\) \(0\.\d+ ± [\d.]+\)\.$", text), text


def test_a_missing_seed_and_a_failed_method_are_said_with_their_reason(folder):
    failed = [cell for cell in folder.cells if cell.method == "vae"]
    waiting = next(cell for cell in folder.cells if cell.method == "pca" and cell.seed == 2)
    folder.rows(without=frozenset({*(cell.hash for cell in failed), waiting.hash}))
    for cell in failed:
        log = folder.here / f"logs/train/{cell.path}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("Traceback\nRuntimeError: it is broken\n")
    text = Page(folder.page()).text
    assert "4 of the preset's trainings are missing" in text
    assert "VAE on digits (8x8 binarised), seed 1: train failed: RuntimeError: it is broken (log: logs/train/" in text
    assert "PCA on digits (8x8 binarised), seed 2: train was not run" in text
    assert "(some methods have 2 only)" in text


def test_a_method_that_skips_the_data_set_has_no_seeds_to_miss():
    skipped = [row("mnist_binarized", "paramrel_c", "default", 0, "auroc", None, note="binary images", cell="")]
    said = " ".join(sentences(pd.concat([example(), table(skipped)], ignore_index=True)))
    assert "Means over 3 seeds; " in said and "only" not in said


def test_methods_that_read_alike_are_not_ranked():
    alike = example(bases=(("vae", "default", 0.95), ("ae", "default", 0.95), ("beta_vae", "default", 0.9)))
    assert re.search(
        r"best from (VAE|AE): AUROC 0.9600 ± 0.0248, and from (VAE|AE): 0.9600", " ".join(sentences(alike))
    )


def test_nothing_measured_still_gives_a_page_that_says_so(folder):
    shutil.rmtree(folder.here / "results")
    shutil.rmtree(folder.here / "runs")
    text = folder.page()
    page = Page(text)
    assert "Nothing was measured yet" in page.text and "this table is empty" in page.text
    assert page.text.count("this figure was not drawn") == len(FIGURE_NAMES)
    assert "There are no frames to show" in page.text and "run snakemake" in page.text
    assert f"{len(folder.cells)} of the preset's trainings are missing" in page.text


def test_a_title_with_any_character_is_shown_as_it_is(folder, monkeypatch):
    title = "Toy* <b>x</b> & `y` **z**"
    monkeypatch.setattr(methods()["vae"], "title", title)
    text = folder.page()
    assert Page(text).text.count(title) > 5 and "<b>x" not in text and "<code>y" not in text


def test_an_empty_table_and_a_missing_figure_are_named(folder):
    (folder.results / f"figures/{FIGURE_NAMES[0]}.png").unlink()
    first = explored(folder.preset)[0]
    (folder.here / "runs" / first.path / explorer_name(folder.preset.evaluate)).unlink()
    text = Page(folder.page()).text
    assert f"figures/{FIGURE_NAMES[0]}.png is not there: this figure was not drawn" in text
    assert "Disentanglement: this table is empty" in text
    assert "PCA on digits (8x8 binarised): " in text and "is not there: run snakemake" in text


def test_damaged_rows_are_an_error_and_no_page(folder):
    (folder.results / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="columns"):
        folder.page()
    assert not (folder.results / "report.html").exists()


def test_pictures_shrink_until_the_page_is_small_enough(folder, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 255, (60, 1400, 3), np.uint8)
    for name in FIGURE_NAMES:
        Image.fromarray(noise).save(folder.results / f"figures/{name}.png")
    whole = len(folder.page())
    monkeypatch.setattr("suite.show.report.page.MAX_BYTES", whole // 2)
    assert len(folder.page()) <= whole // 2
    monkeypatch.setattr("suite.show.report.page.MAX_BYTES", 1000)
    with pytest.raises(UserError, match="split the preset"):
        folder.page()


def test_a_results_page_is_a_target_and_its_frames_are_of_the_first_seed(folder):
    plan = Plan.read({"params": str(folder.config)})
    assert "results/tiny/report.html" in plan.targets() and plan.stamp("report") in plan.targets()
    assert {plan.cells[path].seed for path in plan.explored} == {0}
    assert {plan.cells[path].method for path in plan.explored} == set(METHODS)


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_of_a_sprite_are_where_the_page_looks_for_them(channels):
    import base64
    import io

    shown = np.zeros((15, channels, 16, 16), np.uint8)
    for i in range(15):
        shown[i] = 17 * i
    picture = sprite(shown, 11, QUALITIES[0])
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2]))).convert("L")).astype(int)
    assert image.shape == (32, 176) == (picture.height, picture.width)
    for i in range(15):
        row, column = divmod(i, 11)
        assert abs(image[16 * row + 8, 16 * column + 8] - 17 * i) <= 6, i


@pytest.mark.parametrize("name", ["vae", "diffae", "paramrel_d"])
def test_frames_move_one_latent_and_begin_with_the_own_code(name):
    model = build(name, dataset("digits_binarized"), stir=0.3)
    x = images(model.data, 2)
    rng = Rng((0, "explorer test"))
    with torch.no_grad():
        mean, std = model.encode(images(model.data, 50)).mean.mean(0), torch.arange(1.0, 1 + model.net.latent_dim)
        made = frames(model, x, mean, std, rng, 3)
        again = frames(model, x, mean, std, rng, 3)
        own = model.encode(x).mean
        at_own = frames(model, x, own[0], torch.zeros_like(std), rng, 3)
    assert (
        made["traversed"].shape == (2, model.net.latent_dim, N_STOPS, 1, 8, 8) and made["traversed"].dtype == np.uint8
    )
    assert made["dims"].tolist() == list(range(model.net.latent_dim))[::-1], "those that vary most come first"
    assert all(np.array_equal(made[key], again[key]) for key in made)
    assert made["own_at"] == pytest.approx(((own - mean) / std).flip(1).numpy(), abs=1e-5)
    same = at_own["traversed"][0].astype(int) - at_own["own"][0].astype(int)
    assert (np.abs(same) < 3).mean() > 0.98, "a latent that is set to its own value changes nothing"
    if name.startswith("paramrel"):
        assert made["along"].shape == (2, len(TIMES), 1, 8, 8)
        assert (np.abs(made["along"][:, -1].astype(int) - made["own"]) < 3).mean() > 0.98, "s = 1 is the own code"
    else:
        assert "flow time" in str(made["skipped/along"])
