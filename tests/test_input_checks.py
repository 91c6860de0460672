"""What strangers bring is checked before the work; one bad part does not cost the rest; impossible values are
errors."""

import json
from pathlib import Path

import numpy as np
import pytest

from metrics import metric, metrics
from metrics._base import Value
from metrics.auroc import Auroc
from paramrel.errors import Unsupported, UserError
from suite.measure.evaluate import evaluate, evaluate_to
from tests.test_metrics import arrays

CHEAP = ("auroc", "mse", "kl", "subcode_std", "bits_per_dim", "loss_own")


def written(folder: Path, **changed: np.ndarray) -> Path:
    np.savez(folder / "codes.npz", **(arrays(n=60) | changed))
    return folder / "codes.npz"


def rows(path: Path, names: tuple[str, ...] = CHEAP, **more) -> dict[str, dict]:
    return {row["metric"]: row for row in evaluate(path, names, 0, **more)["rows"]}


BAD = {
    "x_test": (lambda a: 255 * a, {"mse", "bits_per_dim"}, "x_test has pixels from 0 to 255: scale to [0, 1]"),
    "subcode": (lambda a: a * np.nan, {"subcode_std"}, "subcode has 640 NaN or infinite values"),
    "z_std": (
        lambda a: -4 * np.ones_like(a),
        {"kl"},
        "z_std has values from -4 to -4: standard deviations are positive",
    ),
    "z": (lambda a: a.astype(object), {"auroc", "kl"}, "z holds Python objects"),
    "y": (lambda a: a[:-1], {"auroc"}, "y must be (N,) or (N, k) with N = 60 as other arrays; its shape is (59,)"),
    "nll_data": (lambda a: -a, {"bits_per_dim"}, "nll_data has values from"),
    "loss_points": (lambda a: a[:1], {"loss_own"}, "loss_points must be (T,) with T = 2"),
    "reconstructed": (lambda a: a[:, :, :2], {"mse"}, "x_test must be (M, C, H, W)"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_bad_array_costs_only_the_metrics_that_read_it(name, tmp_path):
    damage, costs, says = BAD[name]
    whole = rows(written(tmp_path))
    found = rows(written(tmp_path, **{name: damage(arrays(n=60)[name])}))
    assert {one for one, row in found.items() if row["value"] is None} == costs
    assert all(found[one]["note"].startswith(says) for one in costs)
    assert {one: row for one, row in found.items() if one not in costs} == {
        one: row for one, row in whole.items() if one not in costs
    }


def test_all_arrays_are_checked_before_anything_is_computed(tmp_path, monkeypatch):
    path = written(tmp_path, z=np.full((60, 6), np.nan))
    monkeypatch.setattr(Auroc, "compute", lambda *_: pytest.fail("computed"))
    for cls in metrics().values():
        monkeypatch.setattr(cls, "compute", lambda *_: pytest.fail("computed"))
    with pytest.raises(UserError, match="metric auroc: z has 360 NaN"):
        evaluate_to(path, ("auroc", "kl"), 0, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def test_a_fault_that_shows_while_it_is_computed_costs_one_row(tmp_path, monkeypatch):
    def fail(*_):
        raise UserError("no")

    monkeypatch.setattr(metrics()["mse"], "compute", fail)
    found = rows(written(tmp_path))
    assert found["mse"]["note"] == "no" and [one for one, row in found.items() if row["value"] is None] == ["mse"]
    with pytest.raises(UserError, match="metric mse: no"):
        rows(written(tmp_path), ("mse",))


@pytest.mark.parametrize("y", [np.zeros(60, int), np.zeros((60, 0), int)])
def test_a_data_set_without_labels_has_all_other_metrics(tmp_path, y):
    path = written(tmp_path, y=y, y_test=y, probe_y=y)
    found = rows(path, (*CHEAP, "agreement", "dci", "accuracy_progressive"))
    without = {"auroc", "agreement", "dci", "accuracy_progressive"}
    assert {one for one, row in found.items() if row["value"] is None} == without
    control = rows(path, ("auroc",), shuffled=True)
    assert control["auroc"]["value"] is None and control["auroc"]["note"]


def test_a_rare_attribute_is_left_out_as_a_constant_one_is():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (400, 3))
    y[:, 1], y[:, 2] = np.arange(400) < 3, 1
    z = rng.normal(size=(400, 3)) + y
    for name in ("auroc", "accuracy"):
        value = metric(name)({"z": z, "y": y})
        assert "label column 1: class 1 has 3 of 400 items, fewer than the 5 folds: left out" in value.note
        assert "1 constant label column(s) left out" in value.note and value.extra["labels"] == [0]
        alone = {"z": z, "y": y[:, :1]}
        assert value.value == metric(name)(alone).value
        assert metric(name).chance({"z": z, "y": y}) == metric(name).chance(alone)
    for name in ("tad", "mig", "modularity"):
        assert np.isfinite(metric(name)({"z": z, "y": y}).value)


IMPOSSIBLE = {
    "kl": (
        {"z_std": -4 * np.ones((60, 6))},
        "standard deviations are positive (of log-variances l they are exp(l / 2))",
    ),
    "active_units": ({"z_std": np.zeros((60, 6))}, "z_std has values from 0 to 0"),
    "bits_per_dim": ({"nll_kl": np.full(60, -1.0)}, "the mean of nll_kl is negative"),
    "distortion": ({"nll_data": np.full(60, -40.0)}, "a density has no bits/dim here"),
    "rate": ({"nll_kl": np.full(60, -3.0)}, "it is -3, outside of its range [0, inf]"),
    "loss_mean": ({"loss_mean": -np.ones((2, 60))}, "it is -1, outside of its range"),
    "permuted_ratio": ({"loss_permuted": -np.ones((2, 60))}, "it is -1, outside of its range"),
    "loss_own": ({"loss_points": np.array(["u=0.1", "u=0.5"])}, "noise=0.5 or u=0.3 must be there once"),
    "loss_prior": ({"loss_points": np.array(["u=0.3", "u=0.3"])}, "noise=0.5 or u=0.3 must be there once"),
    "bit_error": ({"x_test": arrays(n=60)["x_test"] / 2}, "x_test holds other values than 0 and 1, and binary is True"),
    "auroc_progressive": ({"progressive_s": np.array([0.5, 3])}, "flow times are in (0, 1]"),
    "nats_continuous": ({"nll_columns": -np.ones((60, 3))}, "is not negative"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible_values_are_errors(name):
    changed, says = IMPOSSIBLE[name]
    with pytest.raises(UserError) as error:
        metric(name)(arrays(n=60) | changed)
    assert str(error.value).startswith(f"metric {name}: ") and says in str(error.value)


def test_rounding_is_no_impossible_value():
    base = arrays(n=60)
    base["x_test"], base["nll_kl"] = base["x_test"] + np.float32(1e-4), np.full(60, -1e-9)
    assert metric("mse")(base).value >= 0
    assert metric("rate")(base).value == 0, "the end of the range"


@pytest.mark.parametrize("name", ["bit_error", "bit_accuracy_from_code"])
def test_bits_of_images_that_are_not_binary_are_not_defined(name):
    with pytest.raises(Unsupported, match="the images are not binary"):
        metric(name)(arrays() | {"binary": np.array(False)})


@pytest.mark.parametrize(("value", "folds"), [(1.5, ()), (-0.1, ()), (0.5, (0.4, 1.2)), (np.nan, ()), (0.5, (np.inf,))])
def test_no_metric_can_write_a_value_or_a_fold_outside_of_its_range(monkeypatch, value, folds, tmp_path):
    monkeypatch.setattr(Auroc, "compute", lambda *_: Value(value, 3, folds))
    with pytest.raises(UserError, match="metric auroc: it is"):
        metric("auroc")(arrays())
    row = rows(written(tmp_path))["auroc"]
    assert row["value"] is None and row["folds"] == [] and json.dumps(row, allow_nan=False)


def test_rounding_out_of_the_range_is_the_end_of_the_range(monkeypatch):
    monkeypatch.setattr(Auroc, "compute", lambda *_: Value(1 + 1e-9, 3, (-1e-12,)))
    value = metric("auroc")(arrays())
    assert value.value == 1 and value.folds == (0,)
