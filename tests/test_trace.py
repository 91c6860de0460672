"""Every number of every table is found by trace, and is what the lines that trace names give."""

import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from paramrel.errors import UserError
from suite.graph.results import TABLE_NAMES
from suite.measure.rows import write_rows
from suite.measure.runs import write_runs
from suite.show.tables import write_tables
from suite.show.tables.published import PUBLISHED
from suite.show.trace import explain, find_column, find_line, open_table, trace
from tests.conftest import ROOT
from tests.example_rows import BASES, example, headings, runs_of

NUMBER = re.compile(r"(?<![A-Za-z_0-9])[-+]?\d+(?:\.\d+)?(?:e-?\d+)?")
COMMITTED = sorted(path.parent for path in ROOT.glob("results/*/rows.csv"))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Tables of chosen rows: two data sets, five seeds, a control, variants."""
    folder = tmp_path_factory.mktemp("made")
    rows = example(seeds=range(5), bases=(*BASES, ("paramrel_d", "vanilla", 0.7)))
    shapes = example(seeds=range(5), data="shapes3d_rendered_16", bases=BASES[:2])
    control = example(seeds=(0,), bases=BASES[1:2], metrics=("auroc", "accuracy")).assign(fold="shuffled", value=0.12)
    rows = pd.concat([rows, shapes, control], ignore_index=True)
    rows["value"] -= np.random.default_rng(0).uniform(0, 0.03, len(rows)).round(4)
    write_rows(rows, folder / "rows.csv")
    runs = runs_of(rows)
    runs["seconds"] = [f"{40 + 3 * i}.5" for i in range(len(runs))]
    runs.loc[runs.variant == "vanilla", "settings"] = '{"encoder": "vanilla", "theta_dropout": 0.3}'
    write_runs(runs, folder / "runs.csv")
    write_tables(rows, runs, "p", folder)
    return folder


def raw(path: Path) -> list[list[str]]:
    """A csv as its lines, the heading first: line n is ``raw(path)[n - 1]``."""
    with path.open(newline="") as file:
        return list(csv.reader(file))


def column_of(lines: list[list[str]], numbers: tuple[int, ...], column: str) -> list[str]:
    return [lines[number - 1][lines[0].index(column)] for number in numbers]


def seeds_of(lines: list[list[str]], numbers: tuple[int, ...]) -> list[str]:
    return column_of(lines, numbers, "seed")


def mean_and_interval(values: list[float], places: int) -> str:
    """Independently of suite.show.statistics."""
    mean = f"{np.mean(values):.{places}f}"
    if len(values) == 1:
        return f"{mean} (1)"
    half = 0.0
    if stats.sem(values) > 0:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
        half = (high - low) / 2
    return f"{mean} ± {half:.{places}f} ({len(values)})"


def check(shown: str, origin, rows, runs, printed) -> None:
    """The numbers of a cell from the lines that its origin names, read and computed anew."""
    places = len(NUMBER.search(shown).group().partition(".")[2]) if NUMBER.search(shown) else 0
    text = shown.removesuffix(" ✓").lstrip("+")
    if origin.file == "published.csv":
        value, spread = (column_of(printed, origin.lines, name)[0] for name in ("value", "spread"))
        assert shown.rstrip(" †‡") == (f"{value} ± {spread}" if spread else value)
    elif origin.file == "rows.csv" and origin.column == "chance":
        assert shown == f"{float(column_of(rows, origin.lines, 'chance')[0]):.{places}f}"
    elif origin.file == "rows.csv":
        values = [float(value) for value in column_of(rows, origin.lines, "value")]
        if origin.minus:
            assert seeds_of(rows, origin.lines) == seeds_of(rows, origin.minus)
            values = [a - float(b) for a, b in zip(values, column_of(rows, origin.minus, "value"), strict=True)]
        if "sign-flip" in origin.how or origin.how.startswith("p, corrected"):
            signs = 1 - 2 * ((np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1)
            extreme = np.abs(signs @ values) >= abs(np.sum(values)) * (1 - 1e-9) - 1e-15
            p = extreme.mean()
            n_tests = re.search(r"for the (\d+) tests", origin.how)
            if n_tests:
                assert p - 5e-5 <= float(shown) <= min(1, int(n_tests.group(1)) * p) + 5e-5
            else:
                assert shown == f"{p:.4f}"
        elif set(column_of(rows, origin.lines, "fold")) == {"shuffled"}:
            assert shown == f"{values[0]:.{places}f}"
        else:
            assert set(column_of(rows, origin.lines, "fold")) == {"mean"}
            assert_close(text, mean_and_interval(values, places))
    elif origin.file == "runs.csv":
        check_run(shown, origin, runs, places)
    else:
        assert origin.file.startswith("data set ")


def assert_close(text: str, expected: str) -> None:
    """Equal but for the rounding of a last digit on the edge."""
    assert text.replace("-0.", "0.").startswith(expected.replace("-0.", "0.").split(" ")[0][:-1])
    for one, two in zip(NUMBER.findall(text), NUMBER.findall(expected), strict=True):
        assert float(one) == pytest.approx(float(two), abs=1.01 * 10.0 ** -len(two.partition(".")[2]))


def check_run(shown: str, origin, runs, places: int) -> None:
    values = column_of(runs, origin.lines, origin.column)
    if "in 10^6" in origin.how:
        each = 4 if "4 bytes each" in origin.how else 1
        assert shown == f"{each * float(values[0]) / 1e6:.2f}" and len(set(values)) == 1
    elif origin.how in ("every value that occurs", "those that differ"):
        assert all(number in " ".join(values) for number in NUMBER.findall(shown))
    else:
        numbers = [float(value) for value in values]
        if origin.how.startswith("steps x batch_size"):
            steps, batch = (column_of(runs, origin.lines, name) for name in ("steps", "batch_size"))
            numbers = [float(s) * float(b) / value for s, b, value in zip(steps, batch, numbers, strict=True)]
        if origin.how.startswith("1,000 x"):
            numbers = [1000 * number for number in numbers]
        assert_close(shown, mean_and_interval(numbers, places))


@pytest.mark.parametrize("folder", ["made", *COMMITTED], ids=lambda folder: getattr(folder, "name", folder))
@pytest.mark.parametrize("name", TABLE_NAMES)
def test_every_number_of_every_table_is_traced_and_equals_its_rows(folder, name, made):
    folder = made if folder == "made" else folder
    opened = open_table(folder / f"{name}.csv")
    shown = raw(folder / f"{name}.csv")
    rows, runs, printed = raw(folder / "rows.csv"), raw(folder / "runs.csv"), raw(PUBLISHED)
    assert shown[0] == headings(opened.made), "the file has other columns than its rows give"
    assert len(shown) == 1 + len(opened.made.lines)
    n_checked = 0
    for i, line in enumerate(shown[1:]):
        assert find_line(opened, opened.name(i)) == i
        for column, text in zip(opened.made.columns, line, strict=True):
            entry = opened.made.lines[i][column]
            expected = opened.made.text(entry)
            assert text == expected, (
                f"{name}.csv shows {text!r} in {opened.name(i)}, {column.heading}; not {expected!r}"
            )
            if column.key or column.heading == "device":
                continue
            if not NUMBER.search(text):
                assert entry.origin is None or column.heading == "settings" or entry.text, text
                continue
            assert find_column(opened, column.heading) == column
            check(text, entry.origin, rows, runs, printed)
            said = explain(opened, i, column, Path("nowhere"))
            assert f" = {text}\n" in said and "BUT" not in said
            for number in entry.origin.lines[:2]:
                assert f"{entry.origin.file} line {number}" in said
            n_checked += 1
    if folder == made and name not in ("disentanglement", "images", "likelihood", "progressive"):
        assert n_checked > 5, "a test that checks nothing"


def test_an_edited_number_is_found_out(made, tmp_path):
    for path in (made / "rows.csv", made / "runs.csv", made / "table2.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (tmp_path / "table2.csv").read_text()
    value = re.search(r"^VAE,[^,]*,([\d.]+)", text, re.MULTILINE).group(1)
    (tmp_path / "table2.csv").write_text(text.replace(value, "0.9999"))
    said = trace(tmp_path / "table2.csv", "VAE", "AUROC ↑", Path("nowhere"))
    assert value in said and "BUT the file shows '0.9999" in said


def test_lines_and_columns_are_named_or_asked_for(made):
    def of(row, column, name="table2"):
        return trace(made / f"{name}.csv", row, column, Path("nowhere"))

    assert of("vae-default", "MNIST (binarised) AUROC") == of("VAE", "MNIST (binarised) AUROC ↑")
    assert "published.csv line" in of("beta-VAE", "MNIST (binarised) AUROC, published")
    with pytest.raises(UserError, match="column 'MNIST' could be: .*AUROC, published; .*AUROC ↑"):
        of("VAE", "MNIST")
    assert of("vae", "MNIST (binarised) AUROC") == of("VAE", "MNIST (binarised) AUROC")
    with pytest.raises(
        UserError, match=r"unknown row 'paramrel_d': did you mean 'ParamReL_d \(.*\)' or 'ParamReL_d \("
    ):
        of("paramrel_d", "MNIST (binarised) AUROC")
    with pytest.raises(UserError, match="unknown row 'VEA': did you mean 'VAE'"):
        of("VEA", "accuracy")
    with pytest.raises(UserError, match="unknown column 'recall'"):
        of("VAE", "recall")
    with pytest.raises(UserError, match="row 'VAE' could be: MNIST .* / VAE; rendered shapes .* / VAE"):
        of("VAE", "class agreement", name="latent_usage")
    assert "line" in of("rendered shapes (16x16) / VAE", "class agreement", name="latent_usage")
    with pytest.raises(UserError, match="no number stands in AE, .*: – a: not in this preset"):
        of("AE", "MNIST (binarised) AUROC ↑")
    with pytest.raises(UserError, match=r"is no table: tables there: .*cost.*table2"):
        of("VAE", "AUROC", name="table7")


def test_a_difference_is_traced_to_both_methods(made):
    said = trace(
        made / "statistics.csv", "MNIST (binarised) / AUROC ↑ / ParamReL_d (self) / VAE", "difference", Path("x")
    )
    assert said.count("rows.csv line") == 10 and "  minus" in said and "runs.csv" in said
