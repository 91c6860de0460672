"""A metric is one new file: its declaration brings it into rows, tables and the page."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from metrics import metrics
from suite.commands.main import train
from suite.graph.cells import cells
from suite.graph.config import load, resolve
from suite.graph.names import codes_name, metric_names, metrics_name
from suite.graph.results import TABLE_NAMES
from suite.measure.encode import encode
from suite.measure.evaluate import evaluate_to
from suite.measure.rows import collect, read_rows, write_rows
from suite.measure.runs import write_runs
from suite.show.report.page import write_report
from suite.show.tables import make, write_tables
from suite.show.tables.from_rows import metrics_of
from tests.conftest import TINY_PRESET
from tests.example_rows import entry, example, headings, row
from tests.example_rows import table as rows_of

TOY = '''
import numpy as np

from metrics._base import Arrays, Metric, Value


class ToyNorm(Metric):
    """Mean norm of the codes, for a test."""

    name = "toy_norm"
    version = 1
    title = "norm of z"
    direction = "lower"
    range = (0.0, float("inf"))
    needs = ("z",)
    source = "a test"
    places = {"images": 25, "headline": 15}
    digits = 2

    def compute(self, arrays: Arrays, seed: int) -> Value:
        return Value(float(np.linalg.norm(arrays["z"], axis=1).mean()), len(arrays["z"]))
'''


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """One more metric, in a file that the registry is told of."""
    (tmp_path / "toy_norm.py").write_text(TOY)
    monkeypatch.setenv("PARAMREL_PLUGINS", str(tmp_path / "toy_norm.py"))
    return "toy_norm"


@pytest.fixture
def measured(toy, tmp_path, monkeypatch):
    """PCA on digits, trained, encoded and measured: the preset, and its rows and runs."""
    monkeypatch.chdir(tmp_path)
    changes = {
        "methods": ["pca"],
        "seeds": [0, 1],
        "evaluate": {**TINY_PRESET["evaluate"], "metrics": ["mse", "auroc", toy]},
    }
    Path("params.yaml").write_text(yaml.safe_dump({"preset": "tiny", "presets": {"tiny": TINY_PRESET | changes}}))
    preset = resolve(load(Path("params.yaml")), "tiny")
    for cell in cells(preset):
        train(dataset=cell.dataset, method=cell.method, variant=cell.variant, seed=cell.seed)
        run = tmp_path / "runs" / cell.path
        encode(cell, preset.evaluate, preset.runtime, run)
        evaluate_to(
            run / codes_name(preset.evaluate),
            metric_names(preset.evaluate),
            cell.seed,
            run / metrics_name(preset.evaluate),
        )
    return preset, *collect(preset, tmp_path / "runs", partial=True)  # without the control


def test_a_new_file_is_all_that_a_metric_needs(measured, toy, tmp_path):
    preset, rows, runs = measured
    assert toy in metric_names(preset.evaluate.model_copy(update={"metrics": "all"}))
    write_rows(rows, tmp_path / "out/rows.csv")
    write_runs(runs, tmp_path / "out/runs.csv")
    rows = read_rows(tmp_path / "out/rows.csv")
    values = rows[(rows.metric == toy) & (rows.fold == "mean")].value
    assert len(values) == 2 and (values > 0).all()
    found = make("images", rows, None)
    assert headings(found) == ["data set", "method", "MSE ↓", "norm of z ↓"]
    shown = entry(found, "PCA", "norm of z ↓")
    assert (shown.value, shown.n, shown.digits) == (pytest.approx(values.mean()), 2, 2)
    assert "norm of z ↓" not in headings(make("progressive", rows, None))
    write_tables(rows, None, "tiny", tmp_path / "out")
    assert found.text(shown) in (tmp_path / "out/images.csv").read_text()
    write_report(
        preset, "tiny", tmp_path / "params.yaml", tmp_path / "runs", tmp_path / "state", tmp_path / "out/report.html"
    )
    page = (tmp_path / "out/report.html").read_text()
    assert page.count(f">{found.text(shown)}</button>") == 2, "in the first table and in that of images"
    assert '<th scope="col">norm of z ↓</th>' in page and "Mean norm of the codes, for a test." in page


def test_rows_that_are_older_than_a_metric_give_the_tables_that_they_gave(tmp_path, monkeypatch, request):
    rows = pd.concat([example(), rows_of([row("digits", "ae", "default", 0, "mse", 0.1)])], ignore_index=True)
    write_tables(rows, None, "p", tmp_path / "before")
    toy = request.getfixturevalue("toy")
    assert toy in metrics() and metrics_of("images")[:3] == ["mse", "mse_permuted", toy]
    write_tables(rows, None, "p", tmp_path / "after")
    for path in (tmp_path / "before").iterdir():
        assert path.read_bytes() == (tmp_path / "after" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("name", sorted(metrics()))
def test_metrics_name_tables_that_there_are(name):
    cls = metrics()[name]
    assert set(cls.places) <= {*TABLE_NAMES, "headline"} - {"table2", "table3", "table4", "table5", "cost"}
    assert 0 <= cls.digits <= 9 and (not cls.unranked or cls.direction != "none")
