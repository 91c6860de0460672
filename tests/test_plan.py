"""What the workflow builds its graph from."""

import hashlib
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml

from paramrel.errors import UserError
from paramrel.files import write_text
from suite.commands.main import train
from suite.graph.cells import cells
from suite.graph.config import load, resolve
from suite.graph.names import metric_names, timing_name
from suite.graph.plan import Plan, write_stamp
from suite.graph.prune import remove, stale
from suite.graph.results import FIGURE_NAMES
from suite.graph.status import jobs, remaining_seconds
from suite.measure.encode import encode
from suite.measure.evaluate import evaluate_to, read_codes
from suite.measure.rows import collect
from suite.show.figures import FIGURES, save
from suite.show.tables import table2, usage_table
from tests.conftest import ROOT, TINY_PRESET
from tests.example_rows import headings


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of its own with a parameter file."""
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path)
    return tmp_path


def write_params(here: Path, **changes) -> None:
    """Make ``tiny`` with ``changes`` the only preset."""
    (here / "params.yaml").write_text(yaml.safe_dump({"preset": "tiny", "presets": {"tiny": TINY_PRESET | changes}}))


def test_an_overlay_is_merged_key_by_key_and_written_out(here):
    plain = Plan.read({})
    merged = Plan.read({"presets": {"tiny": {"seeds": [7], "train": {"steps": 3}}}})
    assert {cell.seed for cell in merged.cells.values()} == {7} and set(merged.steps.values()) == {3}
    assert {cell.method for cell in merged.cells.values()} == {cell.method for cell in plain.cells.values()}
    words = Plan.read({"presets": {"tiny": {"seeds": ["7"], "train": {"steps": "3"}}}})  # as --config gives them
    assert words.cells == merged.cells and words.config == merged.config
    assert Path(merged.config).exists() and plain.config == "params.yaml"
    small = {
        "presets": {
            "tiny": {
                "train": {"learning_rate": 1e-5},
                "per_method": {"pca": {"variants": {"b": {}, "a": {"network": {"latent_dim": 3}}}}},
            }
        }
    }
    again = yaml.safe_load(Path(Plan.read(small).config).read_text())["presets"]["tiny"]
    assert again["train"]["learning_rate"] == 1e-5, "a number must not become a word on the way"
    assert list(again["per_method"]["pca"]["variants"]) == ["b", "a"], "the first variant is the default"
    written = resolve(load(Path(merged.config)), "tiny")
    assert written.train.batch_size == 16 and written.network == resolve(load(Path("params.yaml")), "tiny").network


def test_who_edits_the_parameters_while_jobs_run_changes_nothing_for_them(here):
    """The commands of a graph name a copy of what it was planned from; a plan for reading writes nothing."""
    write_params(here, seeds=[0, 1, 2])
    assert Plan.read({}).config == "params.yaml" and not Path("state").exists() and not Path("results").exists()
    plan = Plan.read({}, for_jobs=True)
    write_params(here, seeds=[0])
    assert resolve(load(Path(plan.config)), "tiny").seeds == (0, 1, 2)
    assert {cell.path for cell in cells(resolve(load(Path(plan.config)), "tiny"))} == set(plan.cells)


def test_a_job_of_a_cluster_takes_the_plan_that_was_written_down(here, monkeypatch):
    plan = Plan.read({})
    path = plan.remember()
    write_params(here, seeds=[7])  # somebody edits the file while jobs wait
    monkeypatch.setattr(Plan, "read", lambda *_: pytest.fail("it was planned again"))
    assert Plan.recall(path) == plan
    path.write_text(path.read_text().replace("paramrel_d", "paramrel_c"))
    with pytest.raises(UserError, match="damaged or was edited .*start Snakemake again"):
        Plan.recall(path)
    path.unlink()
    with pytest.raises(UserError, match="is gone: start Snakemake again"):
        Plan.recall(path)


def test_results_that_are_not_what_was_stamped_are_made_anew(here):
    plan = Plan.read({})
    stamp, files = plan.stamp("samples"), plan.figure("samples")
    for path in files:
        write_text(Path(path), "drawn")
    write_stamp(Path(stamp), files, plan.evidence())
    assert plan.drop_false_stamps() == []
    due = Path(plan.due("samples"))
    os.utime(due, (1, 1))
    assert plan.drop_false_stamps() == [] and due.stat().st_mtime == 1, "what is as it was made stays"
    write_text(Path(files[0]), "drawn by another configuration")
    assert plan.drop_false_stamps() == [stamp] and not Path(stamp).exists()
    assert due.stat().st_mtime >= Path(files[0]).stat().st_mtime, "or Snakemake would take the file for done"


def test_results_of_a_cell_that_was_trained_again_are_made_anew(here):
    plan = Plan.read({})
    stamp, files = plan.stamp("samples"), plan.figure("samples")
    for path in files:
        write_text(Path(path), "drawn")
    write_stamp(Path(stamp), files, plan.evidence())
    assert plan.false_stamps() == []
    write_text(Path("runs", next(iter(plan.cells)), "run.json"), "{}")
    assert plan.false_stamps() == [stamp]


def test_only_what_no_preset_wants_is_stale(here):
    plan = Plan.read({})
    kept, gone = next(iter(plan.cells)), "digits_binarized/vae-default/seed0-0123456789"
    for path in (
        f"runs/{kept}/{plan.codes}",
        f"runs/{kept}/{plan.timing}",
        f"runs/{kept}/run.json",
        f"runs/{kept}/codes-old.npz",
        f"runs/{gone}/run.json",
    ):
        write_text(Path(path), "")
    write_text(Path("runs/no_such_data/vae-default/seed0-0123456789/run.json"), "")
    found = stale(load(Path("params.yaml")), "params.yaml", Path("runs"), Path("state"))
    assert {str(path) for path in found} == {
        f"runs/{kept}/codes-old.npz",
        f"runs/{gone}",
        "runs/no_such_data/vae-default/seed0-0123456789",
    }
    remove(found, Path("state"))
    assert not Path("runs/no_such_data").exists() and Path(f"runs/{kept}/run.json").exists()


def test_what_is_left_is_expected_to_take_what_its_like_took(here):
    write_params(here, methods=["pca", "vae", "ae"], seeds=[0])
    plan = Plan.read({})
    everything = jobs(plan)
    assert [job.stage for job in everything].count("control") == 1 and {job.state for job in everything} == {"waiting"}
    assert remaining_seconds(plan, everything)[1] == len(everything), "nothing is known yet"
    for cell in plan.cells.values():
        if cell.method != "ae":
            write_text(Path(f"runs/{cell.path}/run.json"), "{}")
            write_text(Path(f"logs/benchmark/train/{cell.path}.tsv"), f"s\n{100 if cell.trained else 1}\n")
    left = [job for job in jobs(plan) if job.stage == "train" and job.state != "done"]
    assert [job.cell.method for job in left] == ["ae"]
    assert remaining_seconds(plan, left) == (100, 0), "as the other trained method, not as PCA"


@pytest.mark.parametrize("overlay", [{"presets": 5}, {"presets": {"tiny": 5}}, {"nonsense": 1}, {"preset": "tini"}])
def test_bad_overlays_are_named(here, overlay):
    with pytest.raises(UserError):
        Plan.read(overlay)


def test_stamps_change_with_the_configuration_and_results_do_not(here):
    plain, merged = Plan.read({}), Plan.read({"presets": {"tiny": {"seeds": [7]}}})
    assert plain.built != merged.built and plain.tables() == merged.tables()
    assert not any(path.startswith("results") for path in (plain.stamp("tables"), plain.stamp("samples")))


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": ["vae", "pca"]},  # the order of lines, and the method whose labels are shuffled
        {"seeds": [1, 0]},  # the seed that is shown
        {"methods": ["pca", "vae", "paramrel_c"]},  # a method that skips the data set: a dash and its reason
    ],
)
def test_stamps_change_with_everything_that_stands_in_the_results(here, changes):
    write_params(here, methods=["pca", "vae"], seeds=[0, 1])
    before = Plan.read({})
    write_params(here, **{"methods": ["pca", "vae"], "seeds": [0, 1]} | changes)
    after = Plan.read({})
    assert set(before.cells) == set(after.cells) and before.built != after.built


def test_two_variants_of_the_same_settings_are_refused(here):
    write_params(here, methods=["vae"], per_method={"vae": {"variants": {"a": {}, "b": {"kl_warmup": 0.0}}}})
    with pytest.raises(UserError, match="vae-a/seed0 and digits_binarized/vae-b/seed0 have the same settings"):
        Plan.read({})


def test_a_cell_that_somebody_works_on_is_not_stale(here):
    gone = Path("runs/digits_binarized/vae-default/seed0-0123456789")
    write_text(gone / "run.json", "")
    stale_now = partial(stale, load(Path("params.yaml")), "params.yaml", Path("runs"), Path("state"))
    worker = "import sys\nfrom pathlib import Path\nfrom suite.graph.locks import hold\n" + (
        f"with hold(Path('state'), Path('{gone}/run.json')):\n    print('in', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", worker],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout.readline() == b"in\n"
        assert stale_now() == []
        process.communicate()
    assert stale_now() == [gone]


def test_a_preset_of_sanity_rows_on_grey_digits_still_makes_every_table_and_figure(here, monkeypatch):
    write_params(here, datasets=["digits"], methods=["pca", "pixels", "untrained"], seeds=[0])
    plan = Plan.read({})
    chosen = resolve(load(here / "params.yaml"), "tiny")
    for cell in cells(chosen):
        train(dataset=cell.dataset, method=cell.method, variant=cell.variant, seed=cell.seed)
        run = here / "runs" / cell.path
        codes = encode(cell, chosen.evaluate, chosen.runtime, run)
        evaluate_to(codes, metric_names(chosen.evaluate), 0, run / plan.metrics)
    for path in plan.controls():
        evaluate_to((here / path).parent / plan.codes, metric_names(chosen.evaluate), 0, here / path, shuffled=True)
    rows, runs = collect(chosen, here / "runs")
    assert len(runs) == 3 and set(rows.method) == {"pca", "pixels", "untrained"}
    assert "digits (8x8 grey) AUROC ↑" in headings(table2(rows)) and usage_table(rows).lines
    for name in FIGURE_NAMES:
        save(FIGURES[name].make(chosen, here / "runs"), here / name)
        assert (here / f"{name}.png").stat().st_size > 500


def test_sets_that_are_prepared_are_a_step_of_their_own(here):
    write_params(here, datasets=["digits_binarized", "shapes3d_rendered_16"], methods=["pca"])
    plan = Plan.read({})
    assert plan.prepared == ["shapes3d_rendered_16"]
    assert plan.card("shapes3d_rendered_16") == "state/data/shapes3d_rendered_16-v1.json"


def test_rendered_shapes_give_factors_and_attributes_to_metrics(here):
    write_params(here, datasets=["shapes3d_rendered_16"], methods=["pca"], seeds=[0])
    plan = Plan.read({})
    chosen = resolve(load(here / "params.yaml"), "tiny")
    (cell,) = cells(chosen)
    assert list(plan.cells) == [cell.path]
    train(dataset=cell.dataset, method=cell.method, variant=cell.variant, seed=cell.seed)
    codes = encode(cell, chosen.evaluate, chosen.runtime, here / "runs" / cell.path)
    timing = json.loads((codes.parent / timing_name(chosen.evaluate)).read_text())
    weights = hashlib.sha256((codes.parent / "model.safetensors").read_bytes()).hexdigest()
    assert timing.pop("weights_sha256") == weights and set(timing.pop("code")) >= {"commit", "dirty"}
    assert timing.pop("codes_sha256") == hashlib.sha256(codes.read_bytes()).hexdigest()
    assert timing.pop("cell") == cell.path and timing.pop("digest")
    assert timing == {"sampling_seconds_per_image": None, "sampling_steps": 3, "device": "cpu"}  # PCA does not sample
    arrays = np.load(codes)
    assert arrays["z"].shape == (1500, 8) and arrays["y"].shape == (1500, 6)
    assert arrays["y_names"].tolist()[3:] == ["scale", "shape", "orientation"]
    assert arrays["attributes"].shape == (1500, 59) == (1500, len(arrays["attribute_names"]))
    assert np.array_equal(arrays["attributes"][:, 53], arrays["y"][:, 5] == 11)
    result = evaluate_to(codes, ("auroc",), 0, here / "metrics.json")
    assert result["y_names"][0] == "floor_hue" and 0.6 < result["rows"][0]["value"] < 1


def test_codes_of_some_images_are_rows_of_the_codes_of_all(here):
    write_params(here, methods=["pca"], seeds=[0])
    chosen = resolve(load(here / "params.yaml"), "tiny")
    (cell,) = cells(chosen)
    train(dataset=cell.dataset, method=cell.method, variant=cell.variant, seed=cell.seed)
    run = here / "runs" / cell.path
    few = chosen.evaluate.model_copy(update={"n_codes": 60})
    paths = [encode(cell, settings, chosen.runtime, run) for settings in (chosen.evaluate, few)]
    assert paths[0] != paths[1]
    everything, some = (read_codes(path)[0] for path in paths)
    assert len(some["z"]) == len(some["y"]) == 120 and len(everything["z"]) == 1797
    rows = [np.abs(everything["z"] - z).sum(1).argmin() for z in some["z"]]
    assert np.allclose(everything["z"][rows], some["z"], atol=1e-5)
    assert np.array_equal(everything["y"][rows], some["y"])
