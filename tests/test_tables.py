"""Tables are pure functions of rows.csv; intervals cover what they say."""

import numpy as np
import pandas as pd
import pytest

from paramrel.errors import UserError
from suite.rows import ROW_COLUMNS, read_rows, write_rows
from suite.statistics import summarise
from suite.tables import show, table2, usage_table, write_table
from tests.conftest import ROOT


def rows(seeds=(0, 1, 2)) -> pd.DataFrame:
    found = []
    for name, variant, base in (("pca", "default", 0.9), ("vae", "default", 0.95), ("paramrel_d", "self", 0.8)):
        for seed in seeds:
            for metric, value in (("auroc", base + 0.01 * seed), ("accuracy", base), ("agreement", base)):
                missing = name == "pca" and metric == "agreement"
                found.append(dict.fromkeys(ROW_COLUMNS, "") | {
                    "dataset": "mnist_binarized", "method": name, "variant": variant, "seed": seed, "metric": metric,
                    "metric_version": 1, "fold": "mean", "value": None if missing else value, "n": 10, "chance": 0.5,
                    "direction": "higher", "note": "it generates nothing" if missing else "",
                })  # fmt: skip
    return pd.DataFrame(found, columns=list(ROW_COLUMNS))


def test_rows_survive_the_round_trip_with_their_schema(tmp_path):
    write_rows(rows(), tmp_path / "rows.csv")
    back = read_rows(tmp_path / "rows.csv")
    assert tuple(back.columns) == ROW_COLUMNS and len(back) == len(rows())
    assert back.value.isna().sum() == 3 and back.value[0] == pytest.approx(0.9)
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="has the columns a, b; expected dataset"):
        read_rows(tmp_path / "rows.csv")
    with pytest.raises(UserError, match="is missing: run snakemake"):
        read_rows(tmp_path / "none.csv")


def test_table_2_shows_published_beside_measured_with_intervals_and_the_best_in_bold():
    frame, notes = table2(rows())
    line = frame.set_index("method").loc["VAE"]
    assert line["MNIST (binarised) AUROC ↑"] == "**0.9600 ± 0.0248**"
    published = frame.set_index("method")["MNIST (binarised) AUROC, published"]
    assert published["ParamReL_d (self)"] == "0.946" and published["VAE"] == "–"
    assert frame.method.iloc[-1] == "chance" and frame.iloc[-1]["MNIST (binarised) AUROC ↑"] == "0.5000"
    assert any("3 seeds" in note for note in notes)


def test_the_control_is_a_line_of_its_own_and_is_never_the_best():
    control = (
        rows().query("method == 'pca' and seed == 0 and metric != 'agreement'").assign(fold="shuffled", value=0.99)
    )
    frame, _ = table2(pd.concat([rows(), control]))
    assert frame.method.tolist()[-2:] == ["chance", "shuffled labels"]
    assert frame.iloc[-1]["MNIST (binarised) AUROC ↑"] == "0.9900"
    assert frame.set_index("method").loc["VAE", "MNIST (binarised) AUROC ↑"] == "**0.9600 ± 0.0248**"
    control["metric"] = "agreement"
    usage = usage_table(pd.concat([rows(), control]))[0].set_index("method")
    assert usage.loc["shuffled labels", "class agreement ↑"] == "0.990"


def test_a_published_accuracy_under_the_name_of_auroc_gets_a_dagger():
    fashion = rows().assign(dataset="fashionmnist_binarized")
    frame, notes = table2(fashion)
    assert frame.set_index("method")["Fashion-MNIST (binarised) AUROC, published"]["VAE"] == "0.796 †"
    assert any(note.startswith("†") for note in notes)


def test_one_seed_has_no_interval_and_says_so():
    frame, notes = table2(rows(seeds=(0,)))
    assert "±" not in "".join(frame.astype(str).to_numpy().ravel()) and any("One seed" in note for note in notes)


def test_a_dash_comes_with_its_reason():
    frame, notes = usage_table(rows())
    assert "PCA" not in frame.method.tolist(), "a row of dashes only is left out"
    more = rows()
    more.loc[(more.method == "pca") & (more.metric == "accuracy"), "metric"] = "mse_from_code"
    frame, notes = usage_table(more)
    assert frame.set_index("method").loc["PCA", "class agreement ↑"] == "–"
    assert any("PCA: – because" in note and "it generates nothing" in note for note in notes)


def test_the_same_rows_give_the_same_bytes_in_three_formats(tmp_path):
    for name in ("a", "b"):
        write_table(*table2(rows()), "Caption & more", tmp_path / name)
    for suffix in ("csv", "md", "tex"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    tex = (tmp_path / "a.tex").read_text()
    assert r"Caption \& more" in tex and r"\textbf{0.9600 $\pm$ 0.0248}" in tex and r"ParamReL\_d" in tex
    assert tex.count("{") == tex.count("}") and "**" not in tex and "**" not in (tmp_path / "a.csv").read_text()


def test_intervals_cover_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    summaries = [summarise(rng.normal(3, 2, 5)) for _ in range(4000)]
    covered = np.mean([abs(s.mean - 3) <= s.half_width for s in summaries])
    assert 0.93 < covered < 0.97


def test_cells_are_shown_with_their_half_width():
    assert show(summarise(np.array([0.5]))) == "0.5000"
    assert show(None) == "–"
    assert show(summarise(np.array([0.4, 0.6])), 2) == "0.50 ± 1.27"


@pytest.mark.parametrize("preset", sorted(path.parent.name for path in ROOT.glob("results/*/rows.csv")))
def test_committed_tables_are_what_their_rows_give(tmp_path, preset):
    folder = ROOT / "results" / preset
    committed = read_rows(folder / "rows.csv")
    write_table(*table2(committed), f"Table 2: linear probes of the codes (preset {preset})", tmp_path / "table2")
    write_table(*usage_table(committed), f"Latent usage (preset {preset})", tmp_path / "latent_usage")
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_collapse_and_learning_nothing_are_said_below_the_table():
    found = rows()
    line = found[(found.method == "vae") & (found.metric == "accuracy")]
    untrained = line.assign(method="untrained", value=0.96)
    collapsed = line.assign(metric="active_units", value=1.0, chance=None)
    nothing = found.assign(value=found.value.where(found.metric != "agreement", 0.4))
    notes = usage_table(pd.concat([nothing, untrained, collapsed]))[1]
    assert any("VAE on MNIST" in note and "1.0 active units" in note for note in notes)
    assert any("VAE on MNIST" in note and "no better than the untrained encoder" in note for note in notes)
    assert not any(word in note for note in usage_table(found)[1] for word in ("active units:", "no better"))
