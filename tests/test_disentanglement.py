"""DCI, TAD, ATTRS, MIG: the official code's values, the algebra of the formulas, and what must not matter."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import parallel_config
from sklearn.metrics import mutual_info_score, roc_auc_score

from metrics import metric
from metrics.dci import completeness, completeness_per_factor, disentanglement, disentanglement_per_code, fit
from metrics.tad import auroc_matrix, redundancy, tad
from paramrel.errors import Unsupported, UserError

DATA = Path(__file__).parent / "data"
EXPECTED = json.loads((DATA / "disentanglement.json").read_text())
SMALL = {"n_trees": 10, "n_folds": 1}


def inputs(case: str) -> dict[str, np.ndarray]:
    file = np.load(DATA / "probes.npz")
    return {"z": file[f"{case}/z"], "y": file[f"{case}/y"]}


def attributes(n: int = 300, d: int = 5, seed: int = 0) -> dict[str, np.ndarray]:
    """Codes whose first latents detect binary attributes, the first best."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n, 3)) < 0.4).astype(int)
    z = rng.normal(size=(n, d))
    z[:, :3] += y * np.array([3.0, 2.0, 0.3])
    return {"z": z, "y": y}


# --- DCI ---


@pytest.mark.parametrize("case", EXPECTED["dci"])
def test_entropy_formulas_meet_the_official_values_from_given_importances(case):
    for split in EXPECTED["dci"][case]["split"]:
        importance = np.array(split["importance"])
        assert disentanglement(importance) == pytest.approx(split["D"], abs=1e-9)
        assert completeness(importance) == pytest.approx(split["C"], abs=1e-9)
        assert completeness_per_factor(importance) == pytest.approx(split["C_per_factor"], abs=1e-9)
        # the file rounds importances to 1e-10, of which the log of a row that is nearly zero makes 1e-7
        assert disentanglement_per_code(importance) == pytest.approx(split["D_per_code"], abs=1e-6)


@pytest.mark.parametrize("case", EXPECTED["dci"])
def test_boosted_trees_meet_the_official_values(case):
    codes, expected = inputs(case), EXPECTED["dci"][case]
    split = fit(codes["z"], codes["y"], [(np.arange(1000), np.arange(1000, 1200))], 100, 0)[0]
    assert disentanglement(split.importance) == pytest.approx(expected["split"][0]["D"], abs=3e-3)
    assert completeness(split.importance) == pytest.approx(expected["split"][0]["C"], abs=3e-3)
    assert split.test_accuracy == pytest.approx(expected["split"][0]["I_test_acc"], abs=3e-3)
    assert split.importance == pytest.approx(np.array(expected["split"][0]["importance"]), abs=5e-3)
    for name, key in (("dci", "D"), ("dci_completeness", "C"), ("dci_informativeness", "I_test_acc")):
        value = metric(name, {"n_folds": 2})(codes)
        assert value.folds == pytest.approx(expected["first_two_folds"][key], abs=3e-3), name


def test_diagonal_importance_is_1_and_uniform_is_0():
    assert disentanglement(np.eye(10)) == pytest.approx(1) and completeness(np.eye(10)) == pytest.approx(1)
    assert disentanglement(np.ones((10, 4))) == pytest.approx(0) and completeness(np.ones((10, 4))) == pytest.approx(0)
    assert disentanglement(np.zeros((3, 3))) == completeness(np.zeros((3, 3))) == 0


def test_a_duplicated_code_leaves_d_at_1_and_lowers_c_as_the_formula_says():
    duplicated = np.concatenate((np.eye(10), np.eye(10))) / 2
    assert disentanglement(duplicated) == pytest.approx(1)
    assert completeness(duplicated) == pytest.approx(1 - np.log(2) / np.log(20))
    missed = np.eye(10)[:5]  # factors without a code have no weight, codes are still for one factor each
    assert disentanglement(missed) == pytest.approx(1)


def test_a_duplicated_latent_leaves_d_at_1_and_lowers_c():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, (300, 2))
    once, twice = {"z": y.astype(float), "y": y}, {"z": np.tile(y, 2).astype(float), "y": y}
    assert metric("dci", SMALL)(once).value == pytest.approx(1, abs=1e-6)
    assert metric("dci_completeness", SMALL)(once).value == pytest.approx(1, abs=1e-6)
    assert metric("dci", SMALL)(twice).value == pytest.approx(1, abs=1e-6)
    matrix = np.array(metric("dci", SMALL)(twice).extra["importance"])
    per_factor = 1 + np.sum(np.where(matrix > 0, matrix * np.log(np.maximum(matrix, 1e-300)), 0), 0) / np.log(4)
    assert metric("dci_completeness", SMALL)(twice).value == pytest.approx(per_factor.mean(), abs=1e-6)
    assert metric("dci_completeness", SMALL)(twice).value < 1 - 1e-3


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), exponent=st.integers(-30, 30))
def test_dci_does_not_care_about_order_scale_and_sign_of_latents_or_names_of_classes(seed, exponent):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, (80, 2))
    z = rng.normal(size=(80, 4))
    z[:, :2] += y
    signs = rng.choice([-1, 1], 4) * 10.0**exponent
    names = rng.permutation(100)[:3]
    for name in ("dci", "dci_completeness", "dci_informativeness"):
        base = metric(name, SMALL)({"z": z, "y": y}).value
        changed = {"z": (z * signs)[:, rng.permutation(4)], "y": names[y][:, ::-1]}
        assert metric(name, SMALL)(changed).value == pytest.approx(base, abs=1e-9), name


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_dci_does_not_care_about_order_and_sign_of_latents_that_are_alike_in_most_items(seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (200, 2))
    z = (rng.random((200, 8)) < 0.3).astype(float)
    z[:, :2] = y ^ (rng.random((200, 2)) < 0.1)
    z[:100] = 0  # the first items tell no latent from another
    z[:, 7] = np.arange(200) % 2  # of two values, as far from the mean on both sides
    order, signs = rng.permutation(8), rng.choice([-1, 1], 8) * 0.3
    for name in ("dci", "dci_completeness"):
        base = metric(name, SMALL)({"z": z, "y": y}).value
        assert metric(name, SMALL)({"z": (z * signs)[:, order], "y": y}).value == pytest.approx(base, abs=1e-9), name


def test_the_number_of_processes_changes_no_number():
    codes = attributes()
    alone = [split.importance for split in fit(codes["z"], codes["y"], [(np.arange(240), np.arange(240, 300))], 5, 0)]
    with parallel_config(n_jobs=2):
        both = [
            split.importance for split in fit(codes["z"], codes["y"], [(np.arange(240), np.arange(240, 300))], 5, 0)
        ]
    assert np.array_equal(alone, both)


def test_dci_at_its_edges():
    codes = attributes()
    with pytest.raises(Unsupported, match="at least two factors that vary, y has 1"):
        metric("dci", SMALL)({"z": codes["z"], "y": codes["y"][:, 0]})
    with pytest.raises(Unsupported, match="at least two factors that vary, y has 1"):
        metric("dci", SMALL)({"z": codes["z"], "y": np.stack((codes["y"][:, 0], np.ones(300)), 1)})
    with pytest.raises(UserError, match="at least 10 items, got 7"):
        metric("dci", SMALL)({"z": codes["z"][:7], "y": codes["y"][:7]})
    with pytest.raises(UserError, match="y must be"):
        metric("dci", SMALL)({"z": codes["z"][:7], "y": codes["y"]})
    with pytest.raises(UserError, match="z has 1500 NaN"):
        metric("dci", SMALL)({"z": codes["z"] * np.nan, "y": codes["y"]})
    with pytest.raises(Unsupported, match="z has 5 latents, more than the option dci.max_latents = 4"):
        metric("dci", {"max_latents": 4})(codes)
    with_constant = {"z": codes["z"], "y": np.concatenate((codes["y"], np.ones((300, 1), int)), 1)}
    value = metric("dci", SMALL)(with_constant)
    assert value.value == metric("dci", SMALL)(codes).value and value.note == "1 constant label column(s) left out"
    dead = {"z": np.zeros((300, 4)), "y": codes["y"]}
    assert metric("dci", SMALL)(dead).value == metric("dci_completeness", SMALL)(dead).value == 0
    constant_latent = {"z": np.concatenate((codes["z"], np.full((300, 1), 0.1)), 1), "y": codes["y"]}
    assert metric("dci", SMALL)(constant_latent).extra["importance"][-1] == [0, 0, 0]
    one = {"z": codes["z"][:, :1], "y": codes["y"]}
    assert 0 <= metric("dci", SMALL)(one).value <= 1
    with pytest.raises(Unsupported, match="completeness needs at least two latents"):
        metric("dci_completeness", SMALL)(one)
    rare = codes["y"].copy()
    rare[:, 2] = 0
    rare[5, 2] = 1  # of one item: no other fold has the class
    assert 0 <= metric("dci", SMALL | {"n_folds": 5})({"z": codes["z"], "y": rare}).value <= 1


def test_fewer_items_are_said():
    codes = attributes()
    assert metric("dci", SMALL | {"n_items": 100})(codes).n == 100 and metric("dci", SMALL)(codes).n == 300


# --- TAD and ATTRS ---


@pytest.mark.parametrize("case", EXPECTED["tad"])
@pytest.mark.parametrize(("suffix", "mode", "tolerance"), [("", "exact", 1e-5), ("_nashae", "nashae", 1e-3)])
def test_tad_and_attrs_meet_the_official_values(case, suffix, mode, tolerance):
    codes, expected = inputs(case), EXPECTED["tad"][case]
    value, number = metric(f"tad{suffix}")(codes), metric(f"attrs{suffix}")(codes)
    assert value.value == pytest.approx(expected[mode]["TAD"], abs=tolerance)
    assert number.value == expected[mode]["ATTRS"]
    assert np.array(value.extra["auroc"]) == pytest.approx(np.array(expected[mode]["auroc"]), abs=tolerance)
    if mode == "exact":
        shown = value.extra["attributes"]
        for key in ("gap", "redundancy", "captured"):
            assert [one[key] for one in shown] == pytest.approx(expected["exact"][key], abs=1e-5)
        assert value.folds == pytest.approx(expected["folds"]["TAD"], abs=1e-5)
        assert list(number.folds) == expected["folds"]["ATTRS"]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n_values=st.integers(1, 50), scale=st.floats(1e-6, 1e6))
def test_aurocs_are_those_of_scikit_learn_and_do_not_care_about_order_scale_and_sign(seed, n_values, scale):
    rng = np.random.default_rng(seed)
    z = rng.integers(0, n_values, (60, 4)).astype(float)  # ties, and constant latents
    y = rng.random((60, 3)) < 0.3
    y[:2] = [[True] * 3, [False] * 3]
    matrix = auroc_matrix(z, y)
    for a in range(3):
        for j in range(4):
            one = roc_auc_score(y[:, a], z[:, j])
            assert matrix[a, j] == pytest.approx(max(one, 1 - one), abs=1e-12)
    order = rng.permutation(4)
    assert auroc_matrix((z * scale * rng.choice([-1, 1], 4))[:, order], y) == pytest.approx(matrix[:, order])
    base, changed = tad(z, y), tad((z * scale * rng.choice([-1, 1], 4))[:, order], ~y)
    assert changed.tad == pytest.approx(base.tad) and changed.attrs == base.attrs


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_redundancy_is_the_largest_mutual_information_over_the_entropy(seed):
    rng = np.random.default_rng(seed)
    y = rng.random((50, 4)) < rng.random(4)
    y[:, 3] = y[:, 0]
    y[:2] = [[True] * 4, [False] * 4]
    table = np.array([[mutual_info_score(a, b) for b in y.T] for a in y.T])
    entropies = np.diag(table).copy()
    np.fill_diagonal(table, 0)
    assert redundancy(y) == pytest.approx(table.max(1) / entropies, abs=1e-9)
    assert redundancy(y)[[0, 3]] == pytest.approx(1)


def test_reasons_for_being_dropped_are_kept_with_names():
    codes = attributes()
    copies = np.concatenate((codes["y"], codes["y"][:, :1], np.ones((300, 1), int)), 1)
    names = np.array(["best", "good", "weak", "copy", "constant"])
    value = metric("tad")({"z": codes["z"], "y": np.arange(300), "attributes": copies, "attribute_names": names})
    reasons = {one["name"]: one["reason"] for one in value.extra["attributes"]}
    assert reasons["best"] == reasons["copy"] == "another attribute tells 1.000 of its entropy, over 0.2"
    assert reasons["good"] == "captured" and reasons["constant"] == "constant"
    assert reasons["weak"].startswith("best AUROC 0.5") and reasons["weak"].endswith("is under 0.75")
    assert value.extra["auroc"][4] == [None] * 5
    by_name = {one["name"]: one for one in value.extra["attributes"]}
    assert by_name["good"]["best_latent"] == 1 and value.value == pytest.approx(by_name["good"]["gap"])
    assert metric("attrs")({"z": codes["z"], "attributes": copies}).value == 1


def test_tad_at_its_edges():
    codes = attributes()
    assert metric("tad")({"z": np.zeros((300, 3)), "y": codes["y"]}).value == 0
    assert metric("attrs")({"z": codes["z"], "y": np.ones((300, 2), int)}).value == 0, "constant attributes"
    one = metric("tad")({"z": codes["z"][:, :1], "y": codes["y"][:, :1]})
    assert one.value == pytest.approx(one.extra["auroc"][0][0]), "no second latent: 0, as in the original"
    for mode in ("tad", "tad_nashae"):
        value = metric(mode)({"z": codes["z"], "y": np.concatenate((codes["y"], np.ones((300, 1), int)), 1)})
        assert value.extra["attributes"][3]["reason"] == "constant"
    with pytest.raises(Unsupported, match="column 0 of y has 4 values"):
        metric("tad")({"z": codes["z"], "y": np.arange(300) % 4})
    with pytest.raises(UserError, match="needs the array"):
        metric("tad")({"z": codes["z"]})
    with pytest.raises(UserError, match="at least 10 items, got 8"):
        metric("tad")({"z": codes["z"][:8], "y": codes["y"][:8]})
    with pytest.raises(UserError, match="z has 1500 NaN"):
        metric("tad")({"z": codes["z"] * np.nan, "y": codes["y"]})
    words = np.array(["no", "yes"])[codes["y"]]
    assert metric("tad")({"z": codes["z"], "y": words}).value == metric("tad")(codes).value


def test_the_grid_is_biased_by_an_outlier_and_blind_to_small_ranges_and_the_exact_auroc_is_neither():
    rng = np.random.default_rng(0)
    y = (rng.random((1000, 1)) < 0.5).astype(int)
    detector, unrelated = 0.01 * (y[:, 0] + 0.1 * rng.normal(size=1000)), rng.normal(size=1000)
    unrelated[np.flatnonzero(y[:, 0] == 0)[0]] = 1e4
    codes = {"z": np.stack((detector, unrelated), 1), "y": y}
    exact, grid = (np.array(metric(name)(codes).extra["auroc"])[0] for name in ("tad", "tad_nashae"))
    assert exact[0] > 0.99 and exact[1] < 0.55 and grid[0] == 0.5 and grid[1] > 0.9


# --- mutual information ---


def test_mig_and_modularity_tell_aligned_from_mixed_codes():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, (1000, 2))
    aligned, mixed = {"z": y.astype(float), "y": y}, {"z": y @ np.array([[1.0, 1], [1, -1]]), "y": y}
    assert metric("mig")(aligned).value == pytest.approx(1, abs=0.02) and metric("mig")(mixed).value < 0.1
    assert metric("modularity")(aligned).value > 0.99 > 0.5 > metric("modularity")(mixed).value
    with pytest.raises(Unsupported, match="at least two latents"):
        metric("mig")({"z": aligned["z"][:, :1], "y": y})
    with pytest.raises(Unsupported, match="at least two factors"):
        metric("modularity")({"z": aligned["z"], "y": y[:, 0]})
    assert metric("mig")({"z": np.zeros((1000, 2)), "y": y}).value == 0
