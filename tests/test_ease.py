"""Evaluations that are only looked at, in three forms; suggestions that do not hang on case."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from paramrel.errors import nearest, unknown
from tests.test_cli import assert_one_line_error, paramrel


@pytest.fixture
def codes(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    np.savez(tmp_path / "codes.npz", z=rng.normal(size=(100, 3)) + y[:, None], y=y)
    return tmp_path / "codes.npz"


NAMED = ("--metric", "auroc", "--metric", "dci")


def test_without_out_the_values_are_printed_and_nothing_is_written(codes, tmp_path):
    done = paramrel("evaluate", str(codes), *NAMED)
    assert done.exit_code == 0 and list(tmp_path.iterdir()) == [codes]
    first, second = done.stdout.splitlines()
    assert first.startswith("auroc ") and float(first.split()[1]) > 0.5
    assert second.split()[:2] == ["dci", "–"] and "at least two factors" in second
    every = paramrel("evaluate", str(codes))
    assert every.exit_code == 0 and "more have no value on this file; --format md says why" in every.stdout


@pytest.mark.parametrize("to_file", [False, True])
def test_the_forms_hold_the_same_rows(codes, tmp_path, to_file):
    texts = {}
    for form in ("json", "csv", "md"):
        out = ("--out", str(tmp_path / f"out.{form}")) if to_file else ()
        done = paramrel("evaluate", str(codes), *NAMED, "--format", form, *out)
        assert done.exit_code == 0
        texts[form] = (tmp_path / f"out.{form}").read_text() if to_file else done.stdout
    rows = json.loads(texts["json"])["rows"]
    read = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert [row["metric"] for row in read] == ["auroc", "dci"] and read[1]["value"] == ""
    assert float(read[0]["value"]) == rows[0]["value"] and read[1]["note"] == rows[1]["note"]
    lines = texts["md"].splitlines()
    assert lines[0].startswith("| metric | value |") and lines[1].startswith("| --- |") and len(lines) == 4
    assert f"| auroc | {rows[0]['value']:.4f} | 100 | 0.5000 |" in lines[2]


def test_notes_are_text_in_every_form(codes, tmp_path):
    from suite.measure.shown import shown

    row = {"metric": "a", "value": 1.0, "n": 2, "chance": None, "direction": "none", "unit": "", "note": "=1|2*3<b>"}
    assert next(csv.DictReader(io.StringIO(shown({"rows": [row]}, "csv"))))["note"] == "'=1|2*3<b>"
    assert "=1\\|2\\*3\\<b>" in shown({"rows": [row]}, "md")


def test_another_form_is_named(codes):
    assert_one_line_error(paramrel("evaluate", str(codes), "--format", "JSON5"), "did you mean 'json'?")
    assert_one_line_error(
        paramrel("evaluate", str(codes), "--metric", "AUROC", "--format", "md"), "did you mean 'auroc'"
    )


def test_the_option_for_missing_labels_is_taken(codes, tmp_path):
    arrays = dict(np.load(codes))
    np.savez(codes, z=arrays["z"], y=np.where(np.arange(100) < 9, -1, arrays["y"]))
    done = paramrel("evaluate", str(codes), "--metric", "accuracy", "--missing", "-1")
    assert done.exit_code == 0 and "9 of 100 items without a label in y left out" in done.stdout


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("VAE", ["vae"]),
        ("Paramrel_D", ["paramrel_d"]),
        ("vea", ["vae"]),
        ("ParamReL", ["paramrel_c", "paramrel_d"]),
        ("xyz123", []),
        ("", []),
    ],
)
def test_suggestions_do_not_hang_on_case(given, found):
    assert nearest(given, ["vae", "paramrel_d", "paramrel_c", "pca"]) == found


def test_all_that_begin_with_what_was_given_are_suggested():
    error = str(unknown("row", "ParamReL_d", ["ParamReL_d (self)", "ParamReL_d (ahead)", "VAE"]))
    assert error.startswith(
        "unknown row 'ParamReL_d': did you mean 'ParamReL_d (ahead)' or 'ParamReL_d (self)'? available: "
    )
