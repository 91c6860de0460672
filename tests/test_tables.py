"""Tables are pure functions of rows.csv (and runs.csv): what they show, mark and say."""

import csv
import re

import numpy as np
import pandas as pd
import pytest

from paramrel.method import method
from suite.graph.results import TABLE_NAMES
from suite.measure.rows import read_rows, write_rows
from suite.measure.runs import write_runs
from suite.show.statistics import summarise
from suite.show.tables import DASH, TABLES, label, make, plain, show, table2, usage_table, write_table, write_tables
from suite.show.tables.published import PUBLISHED, published
from tests.conftest import ROOT, run
from tests.example_rows import BASES, example, row, runs_of, table

MNIST, FASHION = "MNIST (binarised)", "Fashion-MNIST (binarised)"


def lines(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index("method")


def test_cells_are_shown_with_their_half_width_and_seeds():
    assert show(summarise(np.array([0.5]))) == "0.5000" and show(None) == DASH
    assert show(summarise(np.array([0.4, 0.6])), 2) == "0.50 ± 1.27"
    assert show(summarise(np.array([0.4, 0.6])), 2, n=True) == "0.50 ± 1.27 (2)"


def test_table_2_shows_published_beside_measured_with_intervals_and_marks():
    frame, notes = table2(example())
    shown = lines(frame)
    assert list(frame)[1:4] == [f"{MNIST} AUROC, published", f"{MNIST} AUROC ↑", f"{MNIST} accuracy ↑"]
    column = shown[f"{MNIST} AUROC ↑"]
    assert column["VAE"] == "**0.9600 ± 0.0248 (3)**" and column["PCA"] == "*0.9100 ± 0.0248 (3)*"
    assert column["ParamReL_d (self)"] == "0.8100 ± 0.0248 (3)"
    printed = shown[f"{MNIST} AUROC, published"]
    assert printed["ParamReL_d (self)"] == "0.946 ± 0.334 ‡" and printed["VAE"] == DASH
    assert frame.method.iloc[-1] == "chance" and column["chance"] == "0.5000"
    assert any("(number of seeds)" in note for note in notes) and any(note.startswith("‡") for note in notes)


def test_lower_is_better_where_the_metric_says_so_and_ties_share_a_mark():
    values = {"ae": 0.1, "vae": 0.1, "info_vae": 0.2, "diffae": 0.3}
    frame, _ = make("images", table([row("digits", name, "default", 0, "mse", value) for name, value in values.items()]), None)  # fmt: skip
    shown = lines(frame)["MSE ↓"]
    assert shown["AE"] == shown["VAE"] == "**0.10000 (1)**" and shown["InfoVAE"] == "*0.20000 (1)*"
    assert shown["DiffAE"] == "0.30000 (1)"


def test_nothing_is_best_of_one():
    frame, notes = table2(example(bases=BASES[:1]))
    assert lines(frame)[f"{MNIST} AUROC ↑"]["PCA"] == "0.9100 ± 0.0248 (3)" and not any("Bold" in n for n in notes)


def test_the_control_is_a_line_of_its_own_and_is_never_the_best():
    control = example(seeds=(0,), bases=BASES[:1]).query("metric != 'agreement'").assign(fold="shuffled", value=0.99)
    frame, _ = table2(pd.concat([example(), control], ignore_index=True))
    assert frame.method.tolist()[-2:] == ["chance", "shuffled labels"]
    assert frame.iloc[-1][f"{MNIST} AUROC ↑"] == "0.9900"
    assert lines(frame).loc["VAE", f"{MNIST} AUROC ↑"] == "**0.9600 ± 0.0248 (3)**"
    control["metric"] = "agreement"
    usage = lines(usage_table(pd.concat([example(), control], ignore_index=True))[0])
    assert usage.loc["shuffled labels", "class agreement ↑"] == "0.990"


def test_a_published_accuracy_under_the_name_of_auroc_gets_a_dagger():
    frame, notes = table2(example(data="fashionmnist_binarized"))
    assert lines(frame)[f"{FASHION} AUROC, published"]["VAE"] == "0.796 ± 0.002 †"
    assert any(note.startswith("† another metric: an accuracy on non-binarised") for note in notes)
    frame, notes = make("table3", example(data="shapes3d"), None)
    assert lines(frame)["3D Shapes AUROC, published"]["VAE"] == "0.770 ± 0.002 †"
    assert lines(frame)["3D Shapes DCI (D), published"]["VAE"] == "0.276 ± 0.001"
    assert any(note.startswith("† another data set") for note in notes)


def test_what_the_preset_has_not_measured_is_shown_as_published_and_said():
    frame, notes = table2(example())
    assert f"{FASHION} AUROC, published" in frame and f"{FASHION} AUROC ↑" not in frame
    assert any(note.startswith(f"Not measured in this preset: {FASHION}") for note in notes)
    line = lines(frame).loc["ParamReL_d (vanilla)"]
    assert line[f"{MNIST} AUROC, published"] == "0.927 ± 0.086"
    letter = line[f"{MNIST} AUROC ↑"]
    assert letter.startswith(f"{DASH} ") and f"{letter}: not in this preset." in notes
    frame, notes = make("table3", example(), None)
    assert "CelebA (64x64) TAD, published" in frame and not [c for c in frame if c.endswith("↑")]
    assert lines(frame).loc["ParamReL_c (self_mmd001)", "3D Shapes DCI (D), published"] == "0.567 ± 0.005"


def test_table_3_has_the_sets_with_factors_and_table_2_those_with_classes():
    both = pd.concat([example(), example(data="shapes3d_rendered_16")], ignore_index=True)
    assert not [c for c in table2(both)[0] if "rendered" in c]
    frame = make("table3", both, None)[0]
    assert lines(frame)["rendered shapes (16x16) AUROC ↑"]["VAE"] == "**0.9600 ± 0.0248 (3)**"
    assert not [c for c in frame if "MNIST" in c]


def test_methods_that_skip_a_data_set_or_failed_have_a_dash_with_the_reason():
    skipped = row(
        "mnist_binarized", "paramrel_c", "default", 0, "auroc", None, note="binary images: paramrel_d", cell=""
    )
    failed = [row("mnist_binarized", "ae", "default", s, "auroc", None, note="not trained: failed") for s in range(3)]
    frame, notes = table2(pd.concat([example(), table([skipped, *failed])], ignore_index=True))
    for line, reason in (("ParamReL_c", "binary images: paramrel_d"), ("AE", "not trained: failed")):
        cell = lines(frame).loc[line, f"{MNIST} AUROC ↑"]
        assert f"{cell}: {reason}." in notes and cell.startswith(f"{DASH} ")
    frame, notes = table2(example().assign(value=np.nan, note="not trained: failed"))
    assert lines(frame)[f"{MNIST} AUROC ↑"][["PCA", "VAE"]].tolist() == [f"{DASH} a"] * 2
    assert f"{DASH} a: not trained: failed." in notes


def test_a_data_set_of_which_nothing_was_measured_is_not_said_to_have_nothing():
    """What a cell that failed could have had is not known: its table says that it was not run, and no more."""
    why = "not trained: failed"
    faces = [
        row("celeba_subset_32", name, variant, 0, metric, None, note=why)
        for name, variant in (("vae", "default"), ("paramrel_c", "self"), ("paramrel_c", "ahead"))
        for metric in ("auroc", "dci", "tad", "auroc_progressive")
    ]
    none = [row("mnist_binarized", "vae", "default", s, "dci", None, note="classes, no factors") for s in range(3)]
    rows = pd.concat([example(), table([*none, *faces])], ignore_index=True)
    for name in ("disentanglement", "progressive"):
        frame, notes = make(name, rows, None)
        assert frame.empty and not any(note.startswith("No ") for note in notes)
        assert any("CelebA" in note and "VAE" in note and why in note for note in notes), notes
        assert not any("MNIST" in note and why in note for note in notes)
    frame, notes = make("ablations", rows, None)
    assert any("CelebA" in note and "ParamReL_c (ahead)" in note and why in note for note in notes), notes
    lost = example().assign(
        value=lambda rows: rows.value.where(rows.seed != 2), note=lambda rows: rows.note.where(rows.seed != 2, why)
    )
    assert any(f"VAE on MNIST (binarised): no value of seed 2 ({why})" in note for note in table2(lost)[1])


def test_no_line_is_the_best_of_what_cannot_be_ranked():
    """A PSNR that is infinite for one seed is in no mean: the mean of the others is less than it was for all."""
    exact = "every image is met exactly: PSNR is infinite"
    psnr = [(40.0, ""), (42.0, ""), (None, exact)], [(None, exact)] * 3, [(30.0, "")] * 3
    rows = [
        row("mnist_binarized", name, "default", seed, "psnr", value, note=note)
        for name, values in zip(("vae", "ae", "pca"), psnr, strict=True)
        for seed, (value, note) in enumerate(values)
    ]
    mse = [
        row("mnist_binarized", name, "default", 0, "mse", v) for name, v in (("vae", 0.1), ("ae", 0.0), ("pca", 0.2))
    ]
    frame, notes = make("images", table([*rows, *mse]), None)
    assert lines(frame)["PSNR ↑"].tolist() == [f"41.00 ± 12.71 (2, {DASH} a)", f"{DASH} a", "30.00 ± 0.00 (3)"]
    assert lines(frame)["MSE ↓"].map(lambda cell: cell.count("*")).tolist() == [2, 4, 0]
    assert f"{DASH} a: {exact}." in notes and any(note.startswith("No marks in 'PSNR': infinite") for note in notes)


def test_missing_seeds_are_counted_in_the_cell_and_said():
    rows = example()
    rows = rows[~((rows.method == "vae") & (rows.seed == 1))].reset_index(drop=True)
    lost = (rows.method == "paramrel_d") & (rows.seed == 2)
    rows.loc[lost, "value"] = np.nan
    rows.loc[lost, "note"] = "not trained: failed"
    frame, notes = table2(rows)
    column = lines(frame)[f"{MNIST} AUROC ↑"]
    assert column["VAE"].endswith("(2)**") and column["PCA"].endswith("(3)*")
    assert column["ParamReL_d (self)"].endswith(f"(2, {DASH} b)") and f"{DASH} b: not trained: failed." in notes
    assert any("VAE on MNIST (binarised): no value of seed 1" in note for note in notes)
    assert any("ParamReL_d (self) on MNIST" in note and "seed 2 (not trained: failed)" in note for note in notes)
    shown = make("statistics", rows, None)[0]
    pair = shown[(shown.method == "ParamReL_d (self)") & (shown.against == "VAE")].iloc[0]
    assert pair.difference.endswith("(1)"), "only seed 0 is common"
    assert pair["p"].startswith(DASH)


def test_one_seed_has_no_interval_and_says_so():
    frame, notes = table2(example(seeds=(0,)))
    measured = frame[[c for c in frame if not c.endswith("published")]]
    assert "±" not in "".join(measured.astype(str).to_numpy().ravel()) and any("One seed" in note for note in notes)


def test_rows_of_dashes_are_gathered_below_tables_by_data_set():
    frame, notes = usage_table(example())
    assert "PCA" not in frame.method.tolist()
    assert f"{DASH} in all columns, {MNIST}: PCA: it generates nothing." in notes
    more = example()
    more.loc[(more.method == "pca") & (more.metric == "accuracy"), "metric"] = "mse_from_code"
    frame, notes = usage_table(more)
    cell = lines(frame).loc["PCA", "class agreement ↑"]
    assert f"{cell}: it generates nothing." in notes


@pytest.mark.parametrize("with_runs", [True, False])
@pytest.mark.parametrize("rows", [table([]), example(), example(seeds=(0,)), example().assign(value=np.nan, note="failed")], ids=["none", "three", "one", "failed"])  # fmt: skip
def test_every_table_builds_whatever_is_missing(tmp_path, rows, with_runs):
    write_tables(rows, runs_of(rows) if with_runs else None, "p", tmp_path)
    for name, (caption, _) in TABLES.items():
        text = (tmp_path / f"{name}.md").read_text()
        assert text.startswith(f"**{caption} (preset p)**") and "- " in text, "a table without a note says nothing"
        assert (tmp_path / f"{name}.csv").read_text() and (tmp_path / f"{name}.tex").read_text()
    if rows.value.notna().sum() == 0:
        assert "Nothing has been measured" in (tmp_path / "table2.md").read_text()
    if not with_runs:
        assert "needs runs.csv" in (tmp_path / "cost.md").read_text()


def test_the_same_rows_give_the_same_bytes(tmp_path):
    rows = pd.concat([example(), example(data="shapes3d_rendered_16")], ignore_index=True)
    for name in ("a", "b"):
        write_rows(rows, tmp_path / name / "rows.csv")
        write_tables(read_rows(tmp_path / name / "rows.csv"), runs_of(rows), "p", tmp_path / name)
    made = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(made) == 1 + 3 * len(TABLE_NAMES)
    for name in made:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_command_makes_the_tables_anew_from_committed_rows(tmp_path):
    folder = tmp_path / "quick"
    write_rows(example(), folder / "rows.csv")
    write_runs(runs_of(example()), folder / "runs.csv")
    done = run(
        "paramrel", "table", "--preset", "quick", "--from-rows", "--results", str(tmp_path), "--runs", "no", cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    write_tables(example(), runs_of(example()), "quick", tmp_path / "here")
    for path in (tmp_path / "here").iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name
    (folder / "rows.csv").unlink()
    done = run("paramrel", "table", "--preset", "quick", "--from-rows", "--results", str(tmp_path), cwd=ROOT)
    assert done.returncode == 2 and "rows.csv is missing" in done.stderr and "Traceback" not in done.stderr


def test_csv_holds_no_marks_and_markdown_both(tmp_path):
    write_table(*table2(example()), "A | caption", tmp_path / "t")
    assert "*" not in (tmp_path / "t.csv").read_text()
    text = (tmp_path / "t.md").read_text()
    assert "**0.9600 ± 0.0248 (3)**" in text and "*0.9100 ± 0.0248 (3)*" in text
    with (tmp_path / "t.csv").open(newline="") as file:
        assert {len(line) for line in csv.reader(file)} == {len(table2(example())[0].columns)}


def test_collapse_and_learning_nothing_are_said_below_the_table():
    found = example()
    line = found[(found.method == "vae") & (found.metric == "accuracy")]
    untrained = line.assign(method="untrained", value=0.96)
    collapsed = line.assign(metric="active_units", value=1.0, chance=None)
    nothing = found.assign(value=found.value.where(found.metric != "agreement", 0.05))
    notes = usage_table(pd.concat([nothing, untrained, collapsed], ignore_index=True))[1]
    assert any("VAE on MNIST" in note and "1.0 active units" in note for note in notes)
    assert any("VAE on MNIST" in note and "no better than the untrained encoder" in note for note in notes)
    assert not any(word in note for note in usage_table(found)[1] for word in ("active units:", "no better"))


def test_statistics_compare_paramrel_with_everything_and_say_what_five_seeds_cannot_show():
    frame, notes = make("statistics", example(seeds=range(5)), None)
    auroc = frame[frame.metric == "AUROC ↑"].set_index("against")
    assert set(auroc.index) == {"PCA", "VAE"} and set(auroc.method) == {"ParamReL_d (self)"}
    assert auroc.loc["VAE", "difference"] == "-0.1500 ± 0.0000 (5)"
    assert auroc.loc["VAE", "p"] == "0.0625" and auroc.loc["VAE", "p (Holm)"] == "0.1250"
    assert any("cannot go under 0.0625" in note and "nothing here can be significant" in note for note in notes)
    frame, notes = make("statistics", example(seeds=range(6)), None)
    assert any("cannot go under 0.03125, before correction" in note for note in notes)
    assert frame[frame.metric == "AUROC ↑"]["p"].tolist() == ["0.0312"] * 2


def test_statistics_without_paramrel_compare_trained_methods():
    bases = (("pca", "default", 0.5), ("ae", "default", 0.6), ("vae", "default", 0.7))
    frame, _ = make("statistics", example(bases=bases), None)
    assert set(zip(frame.method, frame.against, strict=True)) == {("AE", "VAE")}


def test_sizes_settings_and_cost_stand_beside_the_paper():
    rows = example(data="celeba", bases=(("info_diffusion", "default", 0.9), ("paramrel_c", "self", 0.8)))
    runs = runs_of(rows)
    runs.loc[runs.seed == "1", "seconds"] = "100.0"
    sizes = lines(make("table4", rows, runs)[0])
    assert (
        sizes.loc["InfoDiffusion", "encoder, MB, published"] == "143.89"
        and sizes.loc["InfoDiffusion", "encoder, MB"] == "1.00"
    )
    assert sizes.loc["ParamReL_c (self)", "decoder, MB, published"] == "324.31"
    settings = make("table5", rows, runs)[0].set_index("setting")
    assert settings.loc["latent dim", "CelebA (64x64), published"] == "64"
    assert (
        settings.loc["latent dim", "CelebA (64x64), here"] == "32"
        and settings.loc["bins", "CelebA (64x64), here"] == "256"
    )
    assert settings.loc["channel mult", "MNIST (binarised), published"] == "1 2 4"
    cost = lines(make("cost", rows, runs)[0])
    assert cost.loc["InfoDiffusion", "training, s ↓"] == "66.7 ± 71.7 (3)"
    assert cost.loc["InfoDiffusion", "images/s ↑"].startswith("1493 ±")
    assert cost.loc["InfoDiffusion", "parameters, M"] == "0.85"
    assert cost.loc["InfoDiffusion", "sampling, ms per image ↓"] == "– a"  # an older runs.csv has no such column
    runs.loc[runs.method == "info_diffusion", "sampling_seconds_per_image"] = "0.0025"
    cost = lines(make("cost", rows, runs)[0])
    assert cost.loc["InfoDiffusion", "sampling, ms per image ↓"].startswith("2.50 ±")


def test_code_with_uncommitted_changes_is_counted():
    rows = example()
    runs = runs_of(rows)
    assert not any("uncommitted" in note for note in make("cost", rows, runs)[1])
    runs.loc[:1, "dirty"] = "True"
    assert "2 of 9 runs were made by code with uncommitted changes." in make("cost", rows, runs)[1]


def test_ablations_show_the_settings_in_which_variants_differ():
    rows = example(bases=(("vae", "default", 0.9), ("paramrel_d", "self", 0.8), ("paramrel_d", "vanilla", 0.7)))
    runs = runs_of(rows)
    for variant, encoder in (("self", "progressive"), ("vanilla", "vanilla")):
        runs.loc[runs.variant == variant, "settings"] = f'{{"encoder": "{encoder}", "gamma": 1.0}}'
    frame, notes = make("ablations", rows, runs)
    shown = lines(frame)
    assert "VAE" not in shown.index and shown.loc["ParamReL_d (vanilla)", "settings"] == "encoder = vanilla"
    assert any(note.startswith("settings: those in which the variants") for note in notes)
    assert "no method of this preset has two variants" in " ".join(make("ablations", example(), runs)[1]).lower()


def test_published_numbers_are_those_of_the_reference():
    """Facts as printed, with names of this project's methods."""
    known = published()
    assert PUBLISHED.exists() and not known.duplicated(["table", "dataset", "method", "variant", "metric"]).any()
    assert set(known.flag) == {"", "another metric", "another data set", "spread"}
    assert (known.note[known.flag != ""] != "").all() and (known.source != "").all()
    for name, variant in known[known.method != ""][["method", "variant"]].itertuples(index=False):
        assert label(name, variant) and (variant in (*method(name).variants, "vanilla", "self_mmd001"))
    daggers = known[known.flag.isin(["another metric", "another data set"])]
    assert set(zip(daggers.dataset, daggers.metric, strict=True)) == {
        ("fashionmnist_binarized", "auroc"),
        ("shapes3d", "auroc"),
    }
    assert not daggers.method.str.startswith("paramrel").any() and len(daggers) == 12
    impossible = known[(known.metric == "auroc") & (known.spread != "")]
    bound = np.sqrt(impossible.value.astype(float) * (1 - impossible.value.astype(float)))
    assert (impossible.flag[impossible.spread.astype(float) > 0.95 * bound] != "").all()


def test_every_number_of_the_papers_tables_is_there():
    """Table 2: 5 + 8 AUROCs. Table 3: 9 rows of TAD, ATTRS, AUROC and DCI. Table 4: 2 x 2. Table 5: five data sets."""
    ours = published()[~published().source.str.contains("as printed")]
    counts = ours.groupby(["table", "dataset"]).size().to_dict()
    assert counts["2", "mnist_binarized"] == 5 and counts["2", "fashionmnist_binarized"] == 8
    assert counts["3", "celeba"] == counts["3", "shapes3d"] == 18 and counts["4", "celeba"] == 4
    assert sum(n for (number, _), n in counts.items() if number == "5") == 2 * 8 + 3 * 9


@pytest.mark.parametrize("preset", sorted(path.parent.name for path in ROOT.glob("results/*/rows.csv")))
def test_committed_tables_are_what_their_rows_give(tmp_path, preset):
    from suite.measure.runs import read_runs

    folder = ROOT / "results" / preset
    write_tables(read_rows(folder / "rows.csv"), read_runs(folder / "runs.csv"), preset, tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_marks_are_taken_off():
    assert plain("**0.5 ± 0.1 (3)**") == plain("*0.5 ± 0.1 (3)*") == "0.5 ± 0.1 (3)" and not re.search(
        r"\*", plain("x")
    )
