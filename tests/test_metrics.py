"""Contract of every registered metric, the official protocol's values, and properties."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from metrics import check_options, keep_in, metric, metrics, shuffle_labels
from paramrel.errors import Unsupported, UserError

DATA = Path(__file__).parent / "data"


def arrays(n: int = 200, d: int = 6, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of every kind that ``paramrel encode`` writes; codes carry the class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    z = rng.normal(size=(n, d))
    z[:, 0] += 3 * y
    x = ((np.arange(16) // 4 == y[:, None]) ^ (rng.random((n, 16)) < 0.05)).astype(np.uint8).reshape(n, 1, 4, 4)
    return {
        "z": z,
        "y": y,
        "z_sampled": z + rng.normal(size=z.shape),
        "z_std": np.full((n, d), 0.5),
        "z_other_type": z + rng.normal(size=z.shape),
        "x_test": x,
        "y_test": y,
        "probe_x": x,
        "probe_y": y,
        "generated": x,
        "sampled": x[::-1],
        "decoded": 0.8 * x + 0.1,
        "binary": np.array(True),
        "loss_points": np.array(["u=0.1", "u=0.3"]),
        "loss_own": np.ones((2, n)),
        "loss_permuted": np.array([[1.0], [3.0]]).repeat(n, 1),
        "loss_mean": np.ones((2, n)),
        "loss_prior": np.ones((2, n)),
        "nll_data": np.full(n, 16 * np.log(2)),
        "nll_kl": np.zeros(n),
        "reconstructed": 0.9 * x + 0.05,
        "reconstructed_permuted": 0.9 * x[::-1] + 0.05,
        "interpolated": x[:30].reshape(5, 6, 1, 4, 4),
        "round_trip": 0.9 * x[:40],
        "round_trip_permuted": 0.9 * x[1:41],
        "round_trip_source": x[:40],
        "subcode": rng.normal(size=(40, 1, 4, 4)),
        "nll_columns": np.ones((n, 3)),
        "column_classes": np.array([0, 2, 3]),
        "progressive_z": z * np.array([0.1, 1])[:, None, None],
        "progressive_s": np.array([0.5, 1.0]),
    }


def factors(n: int = 60) -> dict[str, np.ndarray]:
    """The same with two factors of two values in place of classes."""
    base = arrays(n, d=3)
    return base | {"y": np.stack((base["y"] % 2, base["y"] // 2), 1)}


CHEAP = {name: {"n_trees": 3, "n_folds": 1} for name in ("dci", "dci_progressive")} | {
    "factor_vae": {"n_train": 100, "n_eval": 50}
}


def damaged(array: np.ndarray) -> dict[str, np.ndarray]:
    """What people's files hold by mistake."""
    rng = np.random.default_rng(0)
    found = {
        "scalar": np.array(1.0),
        "one item": array[:1] if array.ndim else array,
        "flat": array.ravel(),
        "shorter": array[:-1] if array.ndim else array,
        "narrower": array[..., :1] if array.ndim else array,
        "empty": np.zeros((0, *array.shape[1:])),
        "words": np.full(array.shape, "a"),
        "noise": rng.normal(size=array.shape),
        "true": np.ones(array.shape, bool),
    }
    if array.dtype.kind in "biuf":
        found |= {
            "complex": array * 1j,
            "constant": np.zeros_like(array),
            "beyond": array * 1e300 + 1e300,
            "small": array * 1e-30,
            "fractions": array / 3,
            "negative": -array.astype(float),
            "half": array.astype(np.float16),
            "whole": array.astype(int),
        }
    return found


def fitting(name: str) -> dict[str, np.ndarray]:
    """Arrays on which the metric is defined: classes, or factors where classes are not enough."""
    try:
        metric(name)(arrays(), 0)
    except Unsupported:
        return factors()
    return arrays()


def test_the_page_on_metrics_names_them_all():
    page = (DATA.parent.parent / "docs/metrics.md").read_text()
    assert [name for name in metrics() if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", sorted(metrics()))
class TestContract:
    def test_declares_itself(self, name):
        cls = metrics()[name]
        assert cls.name == name and cls.version >= 1 and cls.title and cls.source and cls.needs
        assert cls.direction in ("higher", "lower", "none") and cls.range[0] < cls.range[1]

    def test_value_is_finite_in_range_and_repeatable(self, name):
        chosen = metric(name)
        if chosen.missing(arrays()):
            pytest.skip(f"needs {', '.join(chosen.needs)}, which this test does not make")
        given_arrays = fitting(name)
        value = chosen(given_arrays, 0)
        assert chosen.range[0] <= value.value <= chosen.range[1] and value.n > 0
        assert chosen({key: array.copy() for key, array in given_arrays.items()}, 0) == value
        json.dumps(value.extra, allow_nan=False)
        level = chosen.chance(given_arrays)
        assert level is None or chosen.range[0] <= level <= chosen.range[1]

    def test_missing_and_non_finite_arrays_are_named(self, name):
        chosen, given_arrays = metric(name), arrays()
        with pytest.raises(UserError, match=f"metric {name}: needs the array"):
            chosen({}, 0)
        for need in {*chosen.needs, *chosen.labels} & set(given_arrays):
            if given_arrays[need].dtype.kind == "f":
                broken = given_arrays | {need: given_arrays[need].copy()}
                broken[need].flat[0] = np.nan
                with pytest.raises(UserError, match=f"{need} has 1 NaN"):
                    chosen(broken, 0)

    @pytest.mark.filterwarnings("error")
    def test_damaged_arrays_give_a_clear_error_or_a_value_and_never_a_silent_nan(self, name):
        chosen, base = metric(name, CHEAP.get(metrics()[name].family or name, {})), fitting(name)
        for need in {*chosen.needs, *chosen.labels} & set(base):
            with pytest.raises(UserError, match=f"metric {name}: {need} must be"):
                chosen(base | {need: base[need][None, None]}, 0)
            for what, array in damaged(base[need]).items():
                try:
                    value = chosen(base | {need: array}, 0)
                except (UserError, Unsupported) as error:
                    assert "\n" not in str(error) and len(str(error)) > 10
                    continue
                assert what not in ("complex", "empty", "beyond"), (need, what)
                assert np.isfinite(value.value) and value.n > 0, (need, what)
                json.dumps([value.extra, chosen.chance(base | {need: array})], allow_nan=False)

    def test_shuffled_labels_are_measured_or_do_not_matter(self, name):
        chosen, given_arrays = metric(name), fitting(name)
        shuffled = shuffle_labels(given_arrays)
        assert {key: array.shape for key, array in shuffled.items()} == {
            key: array.shape for key, array in given_arrays.items()
        }
        if not chosen.labels:
            assert chosen(shuffled, 0) == chosen(given_arrays, 0)
        elif chosen.chance(given_arrays) is not None:
            informed, control = (chosen(case, 0).value - chosen.chance(case) for case in (given_arrays, shuffled))
            assert control <= informed and control < 0.3


def test_the_probes_meet_the_official_protocols_values():
    inputs, expected = np.load(DATA / "probes.npz"), json.loads((DATA / "probes.json").read_text())
    for name, key in (("auroc", "auroc"), ("auroc", "auroc_ovr"), ("accuracy", "accuracy")):
        for case, value in expected[key].items():
            for folds in ("stratified", "plain"):  # plain: the official ones
                ours = metric(name, {"folds": folds})({"z": inputs[f"{case}/z"], "y": inputs[f"{case}/y"]}, 0)
                assert ours.value == pytest.approx(value, abs=2e-3 if folds == "stratified" else 1e-4), (name, case)
                assert len(ours.folds) == 5 and np.mean(ours.folds) == pytest.approx(ours.value)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100))
def test_probes_do_not_care_about_order_scale_sign_or_names_of_classes(seed, scale):
    base = arrays(n=60, d=3, seed=seed)
    rng = np.random.default_rng(seed)
    signs, names = rng.choice([-1, 1], 3), rng.permutation(100)[:4]
    changed = {"z": (base["z"] * signs * scale)[:, rng.permutation(3)], "y": np.sort(names)[base["y"]]}
    for name in ("auroc", "accuracy"):
        assert metric(name)(changed, 0).value == pytest.approx(metric(name)(base, 0).value, abs=2e-3)


def test_probes_score_chance_on_shuffled_labels_and_one_on_separable_codes():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(1000) % 5)
    noise, perfect = {"z": rng.normal(size=(1000, 4)), "y": y}, {"z": 10.0 * np.eye(5)[y], "y": y}
    assert metric("auroc")(noise).value == pytest.approx(0.5, abs=0.05)
    assert metric("accuracy")(noise).value == pytest.approx(metric("accuracy").chance(noise), abs=0.05)
    assert metric("auroc")(perfect).value == metric("accuracy")(perfect).value == 1


@pytest.mark.parametrize("kind", ["knn", "forest"])
def test_other_classifiers_read_what_a_line_cannot(kind):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(400, 2))
    ring = {"z": z, "y": (np.linalg.norm(z, axis=1) > 1.2).astype(int)}
    assert metric("auroc")(ring).value < 0.65
    assert metric(f"auroc_{kind}")(ring).value > 0.95 and metric(f"accuracy_{kind}")(ring).value > 0.9


def test_a_class_that_plain_folds_miss_is_named():
    y = np.zeros(300, int)
    y[:5] = 1
    codes = {"z": np.random.default_rng(0).normal(size=(300, 2)), "y": y}
    assert 0 <= metric("auroc")(codes).value <= 1, "stratified folds have one of the five each"
    with pytest.raises(UserError, match="a fold lacks a class: use stratified folds"):
        metric("auroc", {"folds": "plain"})(codes)


def test_options_are_checked():
    with pytest.raises(UserError, match="unknown option of dci 'n_tree': did you mean 'n_trees'"):
        metric("dci", {"n_tree": 4})
    with pytest.raises(UserError, match="dci.n_trees: Input should be greater than or equal to 1"):
        metric("dci", {"n_trees": 0})
    with pytest.raises(UserError, match="unknown metric with options 'dcy': did you mean 'dci'"):
        check_options({"dcy": {}})


def test_progressive_curves_are_the_metric_at_every_s():
    base = arrays()
    base["progressive_z"][0] = np.random.default_rng(1).normal(size=base["z"].shape)
    for name in ("auroc", "accuracy"):
        curve = metric(f"{name}_progressive")(base)
        assert curve.extra["s"] == [0.5, 1.0] and curve.extra["curve"][1] == metric(name)(base).value
        assert curve.value == pytest.approx(np.mean(curve.extra["curve"])) and curve.extra["curve"][0] < 0.6
    with pytest.raises(
        UserError, match=r"y must be \(N,\) or \(N, k\) with N = 200 as other arrays; its shape is \(199,\)"
    ):
        metric("auroc_progressive")(base | {"y": base["y"][1:]})


def test_tad_along_the_flow_takes_attributes_before_labels():
    base = arrays()
    base["progressive_z"][0] = np.random.default_rng(1).normal(size=base["z"].shape)
    attributes = np.stack((base["z"][:, 0] > 0, base["z"][:, 1] > 0.3), 1)
    for labels in ({"attributes": attributes}, {"y": attributes}):
        curve = metric("tad_progressive")(base | labels)
        assert curve.extra["curve"] == [0, metric("tad")(base | labels).value] and curve.value > 0


def test_constant_columns_are_left_out_with_a_note():
    base = arrays()
    y = np.stack((base["y"] % 2, np.ones(200, int)), 1)
    value = metric("auroc")({"z": base["z"], "y": y})
    assert value.note == "1 constant label column(s) left out"
    assert value.value == metric("auroc")({"z": base["z"], "y": y[:, 0]}).value
    with pytest.raises(Unsupported, match="every label column is constant"):
        metric("auroc")({"z": base["z"], "y": np.ones(200, int)})


def test_an_array_changed_in_place_is_measured_anew():
    base = arrays()
    before = metric("auroc")(base).value
    base["z"][:] = np.random.default_rng(3).normal(size=base["z"].shape)
    assert metric("auroc")(base).value < before - 0.2


def test_labels_may_be_words_or_numbers_with_fractions_and_half_precision_is_enough():
    base = arrays()
    expected = metric("auroc")(base).value
    for y in (np.array(["a", "b", "c", "d"])[base["y"]], base["y"] / 3, base["y"] - 5.0):
        assert metric("auroc")(base | {"y": y}).value == expected
    large = (1000 * base["z"]).astype(np.float16)
    assert metric("auroc")(base | {"z": large}).value == pytest.approx(expected, abs=0.01)


def test_constant_codes_and_one_latent_have_values():
    y = np.arange(100) % 2
    assert metric("auroc")({"z": np.zeros((100, 3)), "y": y}).value == 0.5
    assert metric("auroc")({"z": y[:, None].astype(float), "y": y}).value == 1


def test_too_few_items_and_shapes_that_do_not_match_are_errors():
    with pytest.raises(UserError, match="label column 0: class 1 has 3 of 7 items, fewer than the 5 folds"):
        metric("auroc")({"z": np.zeros((7, 2)), "y": np.array([0, 0, 0, 0, 1, 1, 1])})
    with pytest.raises(
        UserError, match=r"y must be \(N,\) or \(N, k\) with N = 7 as other arrays; its shape is \(8,\)"
    ):
        metric("auroc")({"z": np.zeros((7, 2)), "y": np.zeros(8)})
    with pytest.raises(UserError, match="label column 0 has 90 different values for 90 items"):
        metric("auroc")({"z": np.zeros((90, 2)), "y": np.linspace(0, 1, 90)})


def test_agreement_is_the_probes_own_accuracy_on_copies_and_chance_on_noise():
    base = arrays(n=400)
    copies = metric("agreement")(base)
    assert copies.value > 0.95 and "of the real images" in copies.note
    noise = base | {"generated": np.random.default_rng(1).integers(0, 2, base["generated"].shape)}
    assert metric("agreement")(noise).value == pytest.approx(metric("agreement").chance(base), abs=0.12)


def test_agreement_of_factors_is_the_mean_over_columns_that_vary():
    base = arrays(n=400)
    one = metric("agreement")(base).value
    y, probe_y = base["y_test"], base["probe_y"]
    rng = np.random.default_rng(2)
    coin, probe_coin = rng.integers(0, 2, len(y)), rng.integers(0, 2, len(probe_y))
    columns = {"y_test": np.stack([y, 0 * y, coin], 1), "probe_y": np.stack([probe_y, 0 * probe_y, probe_coin], 1)}
    second = metric("agreement")(base | {"y_test": coin, "probe_y": probe_coin}).value
    both = metric("agreement")(base | columns)
    assert both.value == pytest.approx((one + second) / 2) and second < 0.65


@pytest.fixture
def fits(monkeypatch):
    """Grows by one with every logistic regression that is fitted."""
    fits, fit = [], LogisticRegression.fit
    monkeypatch.setattr(LogisticRegression, "fit", lambda self, x, y: (fits.append(len(x)), fit(self, x, y))[1])
    return fits


def test_the_probe_of_agreement_is_fitted_once_per_data_set(tmp_path, fits):
    base = arrays(n=400)
    cells = base, base | {"generated": 1 - base["generated"]}
    plain = [metric("agreement")(cell) for cell in cells]
    assert len(fits) == 2, "nothing is kept unless it is said where"
    with keep_in(tmp_path):
        assert [metric("agreement")(cell) for cell in cells] == plain and len(fits) == 3
        metric("agreement")(base | {"probe_x": 1 - base["probe_x"]})
        assert len(fits) == 4, "other images, another probe"


@pytest.mark.parametrize("damage", ["file", "no folder"])
def test_where_nothing_can_be_kept_or_read_back_probes_are_fitted_anew(tmp_path, fits, damage):
    plain, folder = metric("agreement")(arrays()), tmp_path / "folder"
    if damage == "no folder":
        folder.touch()
    with keep_in(folder):
        assert metric("agreement")(arrays()) == plain
        for kept in folder.rglob("*.npz"):
            kept.write_bytes(b"damaged")
        assert metric("agreement")(arrays()) == plain and len(fits) == 3


def test_latent_usage_by_hand():
    base = arrays()
    assert metric("permuted_ratio")(base).value == 3
    assert metric("loss_permuted")(base).value == 3, "at u = 0.3, the second point"
    assert metric("loss_own")(base | {"loss_points": np.array(["x"]), "loss_own": np.full((1, 9), 2.0)}).value == 2
    z = np.zeros((100, 3))
    z[:, 1] = np.linspace(-1, 1, 100)
    assert metric("active_units")({"z": z, "z_std": np.ones((100, 3))}).value == 1
    assert metric("kl")({"z": np.zeros((9, 3)), "z_std": np.ones((9, 3))}).value == 0
    assert metric("kl")({"z": np.full((9, 2), 2.0), "z_std": np.ones((9, 2))}).value == pytest.approx(4)


def test_sampled_codes_show_collapse_that_the_mean_hides():
    base = arrays(n=1000)
    mean = 1e-4 * base["z"]
    sampled = mean + np.random.default_rng(0).normal(size=mean.shape)
    collapsed = {"z": mean, "z_sampled": sampled, "y": base["y"]}
    assert metric("auroc")(collapsed).value > 0.9
    assert metric("auroc_sampled")(collapsed).value == pytest.approx(0.5, abs=0.06)


def test_bits_of_a_fair_coin_are_one_and_images_from_codes_by_hand():
    base = arrays()
    assert metric("bits_per_dim")(base).value == pytest.approx(1)
    nll = {"nll_data": np.array([3.0, 5.0]), "nll_kl": np.array([1.0, 2.0]), "x_test": np.zeros((2, 1, 2, 2))}
    distortion, rate = (metric(name)(nll).value for name in ("distortion", "rate"))
    assert (distortion, rate) == (4, 1.5)
    assert metric("bits_per_dim")(nll).value == pytest.approx((distortion + rate) / (4 * np.log(2)))
    assert metric("mse_from_code")(base).value == pytest.approx(0.01)
    assert metric("bit_accuracy_from_code")(base).value == 1
