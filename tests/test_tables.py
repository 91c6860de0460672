"""Tables are pure functions of rows.csv (and runs.csv): what they show, mark and say."""

import csv
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paramrel.method import method
from suite.graph.results import TABLE_NAMES
from suite.measure.rows import read_rows, write_rows
from suite.measure.runs import write_runs
from suite.show.statistics import summarise
from suite.show.tables import DASH, TABLES, in_words, label, make, table2, usage_table, write_table, write_tables
from suite.show.tables.entries import Column, Entry, Line, Table, mark_best, of_summary
from suite.show.tables.published import PUBLISHED, published
from tests.conftest import ROOT, run
from tests.example_rows import BASES, entry, example, headings, row, runs_of, table, texts

MNIST, FASHION = "MNIST (binarised)", "Fashion-MNIST (binarised)"


def text(table: Table, line: str, heading: str) -> str:
    return table.text(entry(table, line, heading))


def marks(table: Table, heading: str) -> dict[str, str]:
    """The marks of a column, by method."""
    return {name: entry(table, name, heading).mark for name in texts(table, heading)}


def test_entries_are_shown_with_their_half_width_and_seeds():
    one, two = (summarise(np.array(values)) for values in ([0.5], [0.4, 0.6]))
    assert in_words(one) == "0.5000" and in_words(None) == DASH and in_words(two, 2) == "0.50 ± 1.27"
    whole = Table((), remarks=("a",))
    assert whole.text(of_summary(two, 2)) == "0.50 ± 1.27 (2)" and whole.text(of_summary(one, 1)) == "0.5 (1)"
    assert whole.text(replace(of_summary(two, 2), signed=True)) == "+0.50 ± 1.27 (2)"
    assert whole.text(Entry()) == "" and whole.text(Entry(0.25, digits=1)) == "0.2" and whole.notes == ["a"]


def test_reasons_get_letters_in_the_order_of_reading():
    first, second = Column("x"), Column("y")
    reasons = [f"reason {i}" for i in range(28)]
    lines = [Line({second: Entry(reason=reason), first: Entry(reason=reasons[0])}) for reason in reasons]
    whole = Table((first, second), tuple(lines), ("last",))
    assert [whole.text(lines[i][second]) for i in (0, 1, 25, 26, 27)] == [
        f"{DASH} {x}" for x in ("a", "b", "z", "aa", "ab")
    ]
    assert whole.notes[:2] == [f"{DASH} a: reason 0.", f"{DASH} b: reason 1."] and whole.notes[-1] == "last"


@pytest.mark.parametrize(("direction", "order"), [("higher", "321"), ("lower", "123")])
def test_best_and_second_best_are_found_from_numbers_with_the_decimals_shown(direction, order):
    column = Column("x", direction)
    values = {"1": -1e-5, "2": 10.04, "3": 200.0}
    lines = [Line({column: Entry(values[name], digits=1)}) for name in (*order, order[0])]
    floor = Line({column: Entry(1e9 if direction == "higher" else -1e9)}, floor=True)
    words = Line({column: Entry(text="999")})
    mark_best([*lines, floor, words, Line({column: Entry(10.0400001, digits=1)})], column)
    assert [line[column].mark for line in lines] == ["best", "second", "", "best"]
    assert floor[column].mark == words[column].mark == ""


def test_table_2_shows_published_beside_measured_with_intervals_and_marks():
    found = table2(example())
    auroc = f"{MNIST} AUROC ↑"
    assert headings(found)[1:4] == [f"{MNIST} AUROC, published", auroc, f"{MNIST} accuracy ↑"]
    assert [column.published for column in found.columns[1:4]] == [True, False, False]
    best = entry(found, "VAE", auroc)
    assert (best.mark, best.n, best.digits, best.origin.file) == ("best", 3, 4, "rows.csv")
    assert best.value == pytest.approx(0.96) and best.half_width == pytest.approx(0.02484, abs=1e-5)
    assert text(found, "PCA", auroc) == "0.9100 ± 0.0248 (3)" and entry(found, "PCA", auroc).mark == "second"
    assert text(found, "ParamReL_d (self)", auroc) == "0.8100 ± 0.0248 (3)"
    printed = entry(found, "ParamReL_d (self)", f"{MNIST} AUROC, published")
    assert printed.text == "0.946 ± 0.334 ‡" and printed.value == 0.946 and printed.half_width is None
    assert text(found, "VAE", f"{MNIST} AUROC, published") == DASH
    assert list(texts(found, auroc))[-1] == "chance" and text(found, "chance", auroc) == "0.5000"
    assert any("(number of seeds)" in note for note in found.notes) and any(note[0] == "‡" for note in found.notes)


def test_lower_is_better_where_the_metric_says_so_and_ties_share_a_mark():
    values = {"ae": 0.1, "vae": 0.1, "info_vae": 0.2, "diffae": 0.3}
    found = make(
        "images", table([row("digits", name, "default", 0, "mse", value) for name, value in values.items()]), None
    )
    assert marks(found, "MSE ↓") == {"AE": "best", "VAE": "best", "InfoVAE": "second", "DiffAE": ""}
    assert texts(found, "MSE ↓")["AE"] == "0.10000 (1)"


def test_nothing_is_best_of_one():
    found = table2(example(bases=BASES[:1]))
    assert text(found, "PCA", f"{MNIST} AUROC ↑") == "0.9100 ± 0.0248 (3)"
    assert not any(marks(found, f"{MNIST} AUROC ↑").values()) and not any("Bold" in str(n) for n in found.notes)


def test_the_control_is_a_line_of_its_own_and_is_never_the_best():
    control = example(seeds=(0,), bases=BASES[:1]).query("metric != 'agreement'").assign(fold="shuffled", value=0.99)
    found = table2(pd.concat([example(), control], ignore_index=True))
    assert list(texts(found, f"{MNIST} AUROC ↑"))[-2:] == ["chance", "shuffled labels"]
    assert text(found, "shuffled labels", f"{MNIST} AUROC ↑") == "0.9900"
    assert entry(found, "VAE", f"{MNIST} AUROC ↑").mark == "best" and found.lines[-1].floor
    control["metric"] = "agreement"
    usage = usage_table(pd.concat([example(), control], ignore_index=True))
    assert text(usage, "shuffled labels", "class agreement ↑") == "0.990"


def test_a_published_accuracy_under_the_name_of_auroc_gets_a_dagger():
    found = table2(example(data="fashionmnist_binarized"))
    assert text(found, "VAE", f"{FASHION} AUROC, published") == "0.796 ± 0.002 †"
    assert any(note.startswith("† another metric: an accuracy on non-binarised") for note in map(str, found.notes))
    found = make("table3", example(data="shapes3d"), None)
    assert text(found, "VAE", "3D Shapes AUROC, published") == "0.770 ± 0.002 †"
    assert text(found, "VAE", "3D Shapes DCI (D), published") == "0.276 ± 0.001"
    assert any(str(note).startswith("† another data set") for note in found.notes)


def test_what_the_preset_has_not_measured_is_shown_as_published_and_said():
    found = table2(example())
    assert f"{FASHION} AUROC, published" in headings(found) and f"{FASHION} AUROC ↑" not in headings(found)
    assert any(str(note).startswith(f"Not measured in this preset: {FASHION}") for note in found.notes)
    assert text(found, "ParamReL_d (vanilla)", f"{MNIST} AUROC, published") == "0.927 ± 0.086"
    assert entry(found, "ParamReL_d (vanilla)", f"{MNIST} AUROC ↑").reason == "not in this preset"
    letter = text(found, "ParamReL_d (vanilla)", f"{MNIST} AUROC ↑")
    assert letter.startswith(f"{DASH} ") and f"{letter}: not in this preset." in found.notes
    found = make("table3", example(), None)
    assert "CelebA (64x64) TAD, published" in headings(found)
    assert all(column.published for column in found.columns[1:])
    assert text(found, "ParamReL_c (self_mmd001)", "3D Shapes DCI (D), published") == "0.567 ± 0.005"


def test_table_3_has_the_sets_with_factors_and_table_2_those_with_classes():
    both = pd.concat([example(), example(data="shapes3d_rendered_16")], ignore_index=True)
    assert not [heading for heading in headings(table2(both)) if "rendered" in heading]
    found = make("table3", both, None)
    assert entry(found, "VAE", "rendered shapes (16x16) AUROC ↑").mark == "best"
    assert not [heading for heading in headings(found) if "MNIST" in heading]


def test_methods_that_skip_a_data_set_or_failed_have_a_dash_with_the_reason():
    skipped = row(
        "mnist_binarized", "paramrel_c", "default", 0, "auroc", None, note="binary images: paramrel_d", cell=""
    )
    failed = [row("mnist_binarized", "ae", "default", s, "auroc", None, note="not trained: failed") for s in range(3)]
    found, auroc = table2(pd.concat([example(), table([skipped, *failed])], ignore_index=True)), f"{MNIST} AUROC ↑"
    for line, reason in (("ParamReL_c", "binary images: paramrel_d"), ("AE", "not trained: failed")):
        assert entry(found, line, auroc) == Entry(reason=reason)
        assert f"{text(found, line, auroc)}: {reason}." in found.notes
    found = table2(example().assign(value=np.nan, note="not trained: failed"))
    assert text(found, "PCA", auroc) == text(found, "VAE", auroc) == f"{DASH} a"
    assert f"{DASH} a: not trained: failed." in found.notes


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
        found = make(name, rows, None)
        notes = list(map(str, found.notes))
        assert not found.lines and not any(note.startswith("No ") for note in notes)
        assert any("CelebA" in note and "VAE" in note and why in note for note in notes), notes
        assert not any("MNIST" in note and why in note for note in notes)
    notes = make("ablations", rows, None).notes
    assert any("CelebA" in note and "ParamReL_c (ahead)" in note and why in note for note in notes), notes
    lost = example().assign(
        value=lambda rows: rows.value.where(rows.seed != 2), note=lambda rows: rows.note.where(rows.seed != 2, why)
    )
    assert any(f"VAE on MNIST (binarised): no value of seed 2 ({why})" in note for note in table2(lost).notes)


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
    found = make("images", table([*rows, *mse]), None)
    shown = list(texts(found, "PSNR ↑").values())
    assert shown == [f"41.00 ± 12.71 (2, {DASH} a)", f"{DASH} a", "30.00 ± 0.00 (3)"]
    assert list(marks(found, "MSE ↓").values()) == ["second", "best", ""] and not any(marks(found, "PSNR ↑").values())
    assert f"{DASH} a: {exact}." in found.notes
    assert any(str(note).startswith("No marks in 'PSNR': infinite") for note in found.notes)


def test_missing_seeds_are_counted_in_the_cell_and_said():
    rows = example()
    rows = rows[~((rows.method == "vae") & (rows.seed == 1))].reset_index(drop=True)
    lost = (rows.method == "paramrel_d") & (rows.seed == 2)
    rows.loc[lost, "value"] = np.nan
    rows.loc[lost, "note"] = "not trained: failed"
    found, auroc = table2(rows), f"{MNIST} AUROC ↑"
    assert entry(found, "VAE", auroc).n == 2 and entry(found, "PCA", auroc).n == 3
    assert text(found, "ParamReL_d (self)", auroc).endswith(f"(2, {DASH} b)")
    assert f"{DASH} b: not trained: failed." in found.notes
    notes = list(map(str, found.notes))
    assert any("VAE on MNIST (binarised): no value of seed 1" in note for note in notes)
    assert any("ParamReL_d (self) on MNIST" in note and "seed 2 (not trained: failed)" in note for note in notes)
    pairs = {pair["against"]: pair for pair in statistics(rows) if pair["metric"] == "AUROC ↑"}
    assert pairs["VAE"]["difference"].endswith("(1)"), "only seed 0 is common"
    assert pairs["VAE"]["p"].startswith(DASH)


def statistics(rows: pd.DataFrame) -> list[dict[str, str]]:
    """The lines of the table of differences in words."""
    found = make("statistics", rows, None)
    return [{column.heading: found.text(line[column]) for column in found.columns} for line in found.lines]


def test_one_seed_has_no_interval_and_says_so():
    found = table2(example(seeds=(0,)))
    measured = [line[column] for line in found.lines for column in found.columns if not column.published]
    assert any(one.n == 1 for one in measured) and all(one.half_width is None for one in measured)
    assert any("One seed" in str(note) for note in found.notes)


def test_lines_of_dashes_are_gathered_below_tables_by_data_set():
    found = usage_table(example())
    assert "PCA" not in texts(found, "class agreement ↑")
    assert f"{DASH} in all columns, {MNIST}: PCA: it generates nothing." in found.notes
    more = example()
    more.loc[(more.method == "pca") & (more.metric == "accuracy"), "metric"] = "mse_from_code"
    found = usage_table(more)
    assert entry(found, "PCA", "class agreement ↑").reason == "it generates nothing"
    assert f"{text(found, 'PCA', 'class agreement ↑')}: it generates nothing." in found.notes


@pytest.mark.parametrize("with_runs", [True, False])
@pytest.mark.parametrize(
    "rows",
    [table([]), example(), example(seeds=(0,)), example().assign(value=np.nan, note="failed")],
    ids=["none", "three", "one", "failed"],
)
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
    write_table(table2(example()), "A | caption", tmp_path / "t")
    assert "*" not in (tmp_path / "t.csv").read_text()
    text = (tmp_path / "t.md").read_text()
    assert "**0.9600 ± 0.0248 (3)**" in text and "*0.9100 ± 0.0248 (3)*" in text
    with (tmp_path / "t.csv").open(newline="") as file:
        assert {len(line) for line in csv.reader(file)} == {len(table2(example()).columns)}


def test_collapse_and_learning_nothing_are_said_below_the_table():
    found = example()
    line = found[(found.method == "vae") & (found.metric == "accuracy")]
    untrained = line.assign(method="untrained", value=0.96)
    collapsed = line.assign(metric="active_units", value=1.0, chance=None)
    nothing = found.assign(value=found.value.where(found.metric != "agreement", 0.05))
    notes = usage_table(pd.concat([nothing, untrained, collapsed], ignore_index=True)).notes
    assert any("VAE on MNIST" in note and "1.0 active units" in note for note in notes)
    assert any("VAE on MNIST" in note and "no better than the untrained encoder" in note for note in notes)
    assert not any(word in note for note in usage_table(found).notes for word in ("active units:", "no better"))


def test_statistics_compare_paramrel_with_everything_and_say_what_five_seeds_cannot_in_words():
    found = [pair for pair in statistics(example(seeds=range(5))) if pair["metric"] == "AUROC ↑"]
    auroc = {pair["against"]: pair for pair in found}
    assert set(auroc) == {"PCA", "VAE"} and {pair["method"] for pair in found} == {"ParamReL_d (self)"}
    assert auroc["VAE"]["difference"] == "-0.1500 ± 0.0000 (5)"
    assert auroc["VAE"]["p"] == "0.0625" and auroc["VAE"]["p (Holm)"] == "0.1250"
    notes = make("statistics", example(seeds=range(5)), None).notes
    assert any("cannot go under 0.0625" in note and "nothing here can be significant" in note for note in notes)
    notes = make("statistics", example(seeds=range(6)), None).notes
    assert any("cannot go under 0.03125, before correction" in note for note in notes)
    ps = [pair["p"] for pair in statistics(example(seeds=range(6))) if pair["metric"] == "AUROC ↑"]
    assert ps == ["0.0312"] * 2


def test_statistics_without_paramrel_compare_trained_methods():
    bases = (("pca", "default", 0.5), ("ae", "default", 0.6), ("vae", "default", 0.7))
    assert {(pair["method"], pair["against"]) for pair in statistics(example(bases=bases))} == {("AE", "VAE")}


def test_sizes_settings_and_cost_stand_beside_the_paper():
    rows = example(data="celeba", bases=(("info_diffusion", "default", 0.9), ("paramrel_c", "self", 0.8)))
    runs = runs_of(rows)
    runs.loc[runs.seed == "1", "seconds"] = "100.0"
    sizes = make("table4", rows, runs)
    assert [text(sizes, "InfoDiffusion", f"encoder, MB{end}") for end in (", published", "")] == ["143.89", "1.00"]
    assert text(sizes, "ParamReL_c (self)", "decoder, MB, published") == "324.31"
    settings = make("table5", rows, runs)
    assert text(settings, "latent dim", "CelebA (64x64), published") == "64"
    assert text(settings, "latent dim", "CelebA (64x64), here") == "32"
    assert text(settings, "bins", "CelebA (64x64), here") == "256"
    assert text(settings, "channel mult", "MNIST (binarised), published") == "1 2 4"
    cost = make("cost", rows, runs)
    assert text(cost, "InfoDiffusion", "training, s ↓") == "66.7 ± 71.7 (3)"
    assert text(cost, "InfoDiffusion", "images/s ↑").startswith("1493 ±")
    assert text(cost, "InfoDiffusion", "parameters, M") == "0.85"
    assert text(cost, "InfoDiffusion", "sampling, ms per image ↓") == "– a"  # an older runs.csv has no such column
    runs.loc[runs.method == "info_diffusion", "sampling_seconds_per_image"] = "0.0025"
    assert text(make("cost", rows, runs), "InfoDiffusion", "sampling, ms per image ↓").startswith("2.50 ±")


def test_code_with_uncommitted_changes_is_counted():
    rows = example()
    runs = runs_of(rows)
    assert not any("uncommitted" in note for note in make("cost", rows, runs).notes)
    runs.loc[:1, "dirty"] = "True"
    assert "2 of 9 runs were made by code with uncommitted changes." in make("cost", rows, runs).notes


def test_ablations_show_the_settings_in_which_variants_differ():
    rows = example(bases=(("vae", "default", 0.9), ("paramrel_d", "self", 0.8), ("paramrel_d", "vanilla", 0.7)))
    runs = runs_of(rows)
    for variant, encoder in (("self", "progressive"), ("vanilla", "vanilla")):
        runs.loc[runs.variant == variant, "settings"] = f'{{"encoder": "{encoder}", "gamma": 1.0}}'
    found = make("ablations", rows, runs)
    assert "VAE" not in texts(found, "settings")
    assert text(found, "ParamReL_d (vanilla)", "settings") == "encoder = vanilla"
    assert any(str(note).startswith("settings: those in which the variants") for note in found.notes)
    assert "No method of this preset has two variants" in str(make("ablations", example(), runs).notes)


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
