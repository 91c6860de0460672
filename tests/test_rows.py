"""rows.csv has a schema, which is kept on the way out and on the way in."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch

from metrics import metrics
from paramrel.checkpoint import save_weights
from paramrel.errors import UserError
from paramrel.files import read_record, write_json, write_record, write_text
from suite.graph.chain import made_of, packed
from suite.graph.hashing import file_sha256
from suite.measure import provenance
from suite.measure.provenance import write_run
from suite.measure.rows import ROW_COLUMNS, Row, collect, read_rows, write_rows
from suite.measure.runs import read_runs, write_runs
from tests.example_rows import example, row, runs_of, table


def test_rows_survive_the_round_trip_with_their_schema(tmp_path):
    write_rows(example(), tmp_path / "rows.csv")
    back = read_rows(tmp_path / "rows.csv")
    assert tuple(back.columns) == ROW_COLUMNS
    pd.testing.assert_frame_equal(back, example(), check_dtype=False)
    assert back.value.isna().sum() == 3 and back.value[0] == pytest.approx(0.9)
    write_rows(back, tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "rows.csv").read_bytes()


def test_no_row_at_all_is_sound(tmp_path):
    write_rows(table([]), tmp_path / "rows.csv")
    assert len(read_rows(tmp_path / "rows.csv")) == 0


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (
            "dataset",
            "mnst_binarized",
            "column dataset: unknown data set 'mnst_binarized': did you mean 'mnist_binarized'",
        ),
        ("method", "vea", "column method: unknown method 'vea': did you mean 'vae'"),
        ("metric", "aurocc", "column metric: unknown metric 'aurocc': did you mean 'auroc'"),
        ("data_sha256", "xyz", "column data_sha256: String should match pattern"),
        ("cell", "12", "column cell: String should match pattern"),
        ("variant", "", "column variant: String should have at least 1 character"),
        ("seed", -1, "column seed: Input should be greater than or equal to 0"),
        ("seed", "first", "column seed: Input should be a valid integer"),
        ("metric_version", 0, "column metric_version"),
        ("fold", "median", "column fold: String should match pattern"),
        ("value", 1.2, "column value: 1.2 is outside of auroc's range"),
        ("value", "much", "column value: Input should be a valid number"),
        ("value", float("inf"), "column value: Input should be a finite number"),
        ("n", -3, "column n"),
        ("direction", "lower", "column direction: auroc is 'higher', not 'lower'"),
        ("direction", "up", "column direction: Input should be 'higher', 'lower' or 'none'"),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_column(tmp_path, column, value, said):
    path = tmp_path / "rows.csv"
    write_rows(example(), path)
    raw = pd.read_csv(path, dtype=str, keep_default_na=False)
    raw.loc[3, column] = str(value)
    raw.to_csv(path, index=False)
    with pytest.raises(UserError) as error:
        read_rows(path)
    assert f"{path}, line 5 (dataset" in str(error.value) and said in str(error.value)


def test_a_bad_row_is_not_written(tmp_path):
    for more, said in (
        ({"value": 1.5}, "range"),
        ({"value": None, "note": ""}, "must say why"),
        ({"n": -1}, "column n"),
    ):
        with pytest.raises(UserError, match=said):
            write_rows(table([row("digits", "vae", "default", 0, "auroc", 0.5) | more]), tmp_path / "rows.csv")
    with pytest.raises(UserError, match="line 29: a second row of dataset mnist_binarized, method pca"):
        write_rows(pd.concat([example(), example().head(1)], ignore_index=True), tmp_path / "rows.csv")
    assert not list(tmp_path.iterdir()), "nothing half-written"


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "rows.csv"
    with pytest.raises(UserError, match="is missing: run snakemake"):
        read_rows(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="has the columns a, b; expected dataset"):
        read_rows(path)
    path.write_text("")
    with pytest.raises(UserError, match="no readable csv"):
        read_rows(path)
    path.write_bytes(b"\xff\xfe\x00\x01,\x80")
    with pytest.raises(UserError, match="no readable csv"):
        read_rows(path)


def test_every_column_is_documented():
    documented = [name for name, field in Row.model_fields.items() if field.description]
    assert {"dataset", "cell", "fold", "value", "n", "chance", "direction"} <= set(documented)


def test_older_runs_have_empty_columns(tmp_path):
    (tmp_path / "runs.csv").write_text("dataset,method,variant,seed,cell\ndigits,vae,default,0,0123456789\n")
    runs = read_runs(tmp_path / "runs.csv")
    assert runs.steps.tolist() == [""] and runs.cell.tolist() == ["0123456789"]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("cell", "", "column cell: String should match pattern"),
        ("seconds", "-1", "column seconds: Input should be greater than or equal to 0"),
        ("parameters", "many", "column parameters: Input should be a valid integer"),
        ("dirty", "perhaps", "column dirty: Input should be a valid boolean"),
        ("settings", "{", "column settings: Invalid JSON"),
        ("multipliers", "[1, 2]", "column multipliers: String should match pattern"),
    ],
)
def test_a_bad_run_is_named_and_not_written(tmp_path, column, value, said):
    runs = runs_of(example())
    write_runs(runs, tmp_path / "sound.csv")
    pd.testing.assert_frame_equal(read_runs(tmp_path / "sound.csv"), runs)
    runs.loc[2, column] = value
    with pytest.raises(UserError, match="bad.csv, line 4 .dataset .*" + re.escape(said)):
        write_runs(runs, tmp_path / "bad.csv")
    runs.to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(UserError, match="bad.csv, line 4 .dataset .*" + re.escape(said)):
        read_runs(tmp_path / "bad.csv")
    sound = pd.read_csv(tmp_path / "sound.csv", dtype=str)
    sound.assign(more="1").to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(UserError, match="other.csv has the columns"):
        read_runs(tmp_path / "other.csv")


@pytest.fixture
def measured_cells(tmp_path, monkeypatch):
    """(preset, runs, the two runs' folders): a data set measured with two seeds."""
    from suite.graph.cells import cells
    from suite.graph.config import Preset
    from suite.graph.names import codes_name, control_name, metrics_name, timing_name

    monkeypatch.chdir(tmp_path)
    preset = Preset(
        datasets=("digits_binarized",), methods=("pca",), seeds=(0, 1), evaluate={"metrics": ["auroc"], "n_images": 8}
    )
    chosen, runs = cells(preset), tmp_path / "runs"
    for cell in chosen:
        run = runs / cell.path
        save_weights(run / "model.safetensors", torch.nn.Linear(1, 1), cell.path)
        np.savez(run / codes_name(preset.evaluate), z=np.ones(2), **packed(made_of(run)))
        write_text(run / "metrics.jsonl", "")
        declared = metrics()["auroc"]
        line = {
            "metric": "auroc",
            "metric_version": declared.version,
            "direction": declared.direction,
            "unit": declared.unit,
            "n": 9,
            "value": 0.5,
            "chance": 0.5,
            "note": "",
            "folds": [],
        }
        measured = {"rows": [line], "input_sha256": file_sha256(run / codes_name(preset.evaluate)), "blas": "Haswell"}
        write_json(run / metrics_name(preset.evaluate), measured)
        write_json(run / control_name(preset.evaluate), measured)
        weights = file_sha256(run / "model.safetensors")
        code = {"commit": "c" * 40, "dirty": True}
        timing = {"sampling_seconds_per_image": None, "weights_sha256": weights, "code": code}
        write_json(run / timing_name(preset.evaluate), timing)
        provenance.begin(tmp_path / "state" / cell.path)
        write_run(run, cell, preset.runtime, "0" * 64, 1.0, provenance.trained_by(tmp_path / "state" / cell.path))
    return preset, runs, [runs / cell.path for cell in chosen]


def test_files_of_a_cell_that_are_not_of_each_other_are_refused(measured_cells):
    """New weights must not stand behind old numbers, nor new codes behind old metrics."""
    from suite.graph.names import codes_name

    preset, runs, (first, _) = measured_cells
    assert len(collect(preset, runs)[1]) == 2
    record, weights = read_record(first / "run.json"), (first / "model.safetensors").read_bytes()
    save_weights(first / "model.safetensors", torch.nn.Linear(2, 1), record["cell"] + "-" + record["hash"])
    with pytest.raises(UserError, match="run.json is not of the weights that are here: remove .* and train again"):
        collect(preset, runs)
    write_record(first / "run.json", record | {"weights_sha256": file_sha256(first / "model.safetensors")})
    with pytest.raises(UserError, match="timing-.* is not of the weights that are here: delete"):
        collect(preset, runs, partial=True)
    (first / "model.safetensors").write_bytes(weights)
    write_record(first / "run.json", record)
    np.savez(first / codes_name(preset.evaluate), z=np.zeros(2), **packed(made_of(first)))
    with pytest.raises(UserError, match="metrics-.* is not of the codes that are here"):
        collect(preset, runs)


def test_runs_know_who_encoded_and_measured_and_with_which_kernels(measured_cells):
    """And say nothing where files are older than that record."""
    preset, runs, (_, second) = measured_cells
    path = next(second.glob("metrics-*.json"))
    record = json.loads(path.read_text())
    write_json(path, record | {"code": {"commit": None, "dirty": None}} | {"blas": "Zen"})
    one, other = collect(preset, runs)[1][["encoded_by", "measured_by", "blas"]].to_numpy(dtype=object)
    assert list(one) == [f"commit {'c' * 40} with uncommitted changes", None, "Haswell"]
    assert list(other) == [one[0], "code outside of a git checkout", "Zen"]


def test_cells_of_one_data_set_saw_the_same_data(measured_cells):
    preset, runs, (_, second) = measured_cells
    record = read_record(second / "run.json")
    write_record(second / "run.json", record | {"data_sha256": "1" * 64})
    with pytest.raises(UserError, match="pca-default/seed0 and .*pca-default/seed1 are of different data"):
        collect(preset, runs)


def test_a_training_is_of_the_code_that_it_began_with(tmp_path, monkeypatch):
    """And dirty if any part of it is of other code: a commit that is made while it runs must not clean it."""
    now = {"commit": "a" * 40, "dirty": False}
    monkeypatch.setattr(provenance, "code", lambda: dict(now))
    provenance.begin(tmp_path)
    now["commit"] = "b" * 40
    assert provenance.trained_by(tmp_path) == {
        "commit": "a" * 40,
        "dirty": False,
        "lock_sha256": provenance.lock_hash(),
    }
    provenance.begin(tmp_path)  # it was stopped, and goes on with the new commit
    assert provenance.trained_by(tmp_path)["commit"] == "a" * 40 and provenance.trained_by(tmp_path)["dirty"] is True


def test_what_is_skipped_or_failed_has_rows_that_say_so(tmp_path):
    """A method that skips the data set always; a cell that is not there only in part, otherwise it is an error."""
    from suite.graph.config import Preset
    from suite.graph.names import metric_names

    preset = Preset(datasets=("digits_binarized",), methods=("pca", "paramrel_c"), seeds=(0, 1))
    with pytest.raises(UserError, match="is not evaluated .* paramrel table --partial"):
        collect(preset, tmp_path)
    rows, runs = collect(preset, tmp_path, partial=True)
    n_metrics = len(metric_names(preset.evaluate))
    assert len(runs) == 0 and rows.value.isna().all() and len(rows) == 3 * n_metrics
    assert rows[rows.method == "paramrel_c"].note.unique().tolist() == ["binary images: paramrel_d"]
    assert set(rows[rows.method == "pca"].note) == {"not trained: failed, or not run yet (paramrel status says which)"}
    write_rows(rows, tmp_path / "rows.csv")
    assert len(read_rows(tmp_path / "rows.csv")) == len(rows)
