"""Labels as people have them: one meaning, one number."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metrics import _probe, metric
from metrics._labels import from_signs, normalised
from paramrel.errors import Unsupported, UserError
from suite.measure.evaluate import evaluate

RNG = np.random.default_rng(0)
CLASSES = np.arange(80) % 4
BINARY = RNG.integers(0, 2, (80, 3))
Z = RNG.normal(size=(80, 4)) + np.stack((CLASSES, *BINARY.T), 1)
IMAGES = (np.arange(16) // 4 == CLASSES[:, None]).astype(np.uint8).reshape(80, 1, 4, 4)
NAMES = ("auroc", "accuracy", "tad", "attrs", "dci", "mig", "modularity", "factor_vae")
SMALL = {"dci": {"n_trees": 3, "n_folds": 1}, "factor_vae": {"n_train": 100, "n_eval": 100}}


def score(name: str, y: np.ndarray, z: np.ndarray = Z, **more) -> float | str:
    """The value, or the reason why there is none."""
    try:
        return metric(name, SMALL.get(name, {}))({"z": z, "y": y}, 0, **more).value
    except Unsupported as reason:
        return str(reason)


def forms(y: np.ndarray) -> dict[str, np.ndarray]:
    """The same labels as others write them."""
    words = np.array(["a", "b", "c", "d"])[y]
    return {
        "floats": y.astype(float),
        "single": y.astype(np.float32),
        "half": y.astype(np.float16),
        "bytes": y.astype(np.int8),
        "unsigned": y.astype(np.uint8),
        "words": words,
        "byte strings": words.astype("S1"),
        "from 1": y + 1,
        "large": y * 1000 - 7,
        "Fortran": np.asfortranarray(y),
        "big endian": y.astype(">i4"),
        "view": np.repeat(y, 2, 0)[::2],
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_form_of_classes_and_attributes_is_the_same(name):
    for y in (CLASSES, BINARY):
        expected = score(name, y)
        assert {form: score(name, labels) for form, labels in forms(y).items()} == dict.fromkeys(forms(y), expected)
    expected = score(name, BINARY)
    assert score(name, 2 * BINARY - 1) == score(name, BINARY.astype(bool)) == expected, "CelebA's own form, and bool"


def signs(labels: np.ndarray) -> np.ndarray:
    return from_signs({"y": labels})["y"]


def test_minus_one_and_one_are_no_and_yes():
    assert signs(2 * BINARY - 1).tolist() == BINARY.tolist()
    assert signs(np.array([-1, -1])).tolist() == [0, 0] and signs(np.array([1, 1])).tolist() == [1, 1]
    assert signs(np.array([-1, 0, 1])).tolist() == [-1, 0, 1], "three values are three classes"
    both = from_signs({"y_test": np.array([-1, 1]), "probe_y": np.array([-1, 0, 1])})
    assert both["y_test"].tolist() == [-1, 1], "images and probe have one vocabulary"
    assert normalised(np.array([1e20, 2e20])).tolist() == [1e20, 2e20], "what int64 does not hold stays"
    assert normalised(np.array([0.5, 1])).tolist() == [0.5, 1], "soft labels are not truncated"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1, 2.0])
def test_one_hot_labels_are_classes(name, scale):
    one_hot = np.eye(4)[CLASSES] * scale - (scale > 1)  # 0 and 1, or -1 and 1
    assert score(name, one_hot) == score(name, CLASSES)
    if isinstance(score(name, CLASSES), float):
        assert metric(name)({"z": Z, "y": one_hot}).note.endswith("y: one-hot, taken as 4 classes")


def test_attributes_are_never_taken_for_one_hot():
    one_hot = np.eye(4, dtype=int)[CLASSES]
    assert metric("tad")({"z": Z, "attributes": one_hot}).note.endswith("of 4 attributes captured")
    assert score("tad", BINARY) == metric("tad")({"z": Z, "attributes": BINARY}).value


def test_soft_attributes_are_named():
    soft = RNG.random((80, 2)) * 0.99
    with pytest.raises(Unsupported, match="column 0 of attributes has 80 values: TAD and ATTRS need binary attributes"):
        metric("tad")({"z": Z, "attributes": soft})
    with pytest.raises(UserError, match="80 different values"):
        metric("auroc")({"z": Z, "y": soft})


def test_objects_are_named_with_the_way_out():
    words = np.array(["a", "b", "c", "d"], dtype=object)[CLASSES]
    with pytest.raises(UserError, match=r"metric auroc: y holds Python objects.*give y.astype\(str\)"):
        metric("auroc")({"z": Z, "y": words})
    assert score("auroc", words.astype(str)) == score("auroc", CLASSES)


@pytest.mark.parametrize(
    ("marker", "mark"),
    [
        ("-1", lambda y: np.where(np.arange(80) < 8, -1, y)),
        ("nan", lambda y: np.where(np.arange(80) < 8, np.nan, y)),
        ("?", lambda y: np.where(np.arange(80) < 8, "?", np.array(list("abcd"))[y])),
        (9, lambda y: np.where(np.arange(80) < 8, 9, y)),
    ],
)
def test_items_without_a_label_are_left_out_where_it_is_read(marker, mark):
    value = metric("accuracy")({"z": Z, "y": mark(CLASSES)}, missing_label=marker)
    assert value.value == score("accuracy", CLASSES[8:], Z[8:]) and value.n == 72
    assert value.note == "8 of 80 items without a label in y left out"
    columns = np.stack([mark(column) for column in BINARY.T], 1)
    assert score("auroc", columns, missing_label=marker) == score("auroc", BINARY[8:], Z[8:])
    curve = {"progressive_z": np.stack([Z, 2 * Z]), "progressive_s": np.array([0.5, 1]), "y": mark(CLASSES)}
    assert metric("accuracy_progressive")(curve, missing_label=marker).n == 72
    assert metric("active_units")({"z": Z, "z_std": abs(Z) + 1}, missing_label=marker).n == 80, "reads no label"


def test_a_missing_label_without_the_option_is_an_error_or_a_class():
    with pytest.raises(UserError, match="y has 1 NaN"):
        metric("auroc")({"z": Z, "y": np.where(np.arange(80) < 1, np.nan, CLASSES)})
    with pytest.raises(UserError, match=r"every item of y has a missing label \(-1\)"):
        metric("auroc")({"z": Z, "y": 0 * CLASSES - 1}, missing_label="-1")


def test_the_option_reaches_the_rows(tmp_path):
    np.savez(tmp_path / "c.npz", z=Z, y=np.where(np.arange(80) < 8, -1, CLASSES))
    result = evaluate(tmp_path / "c.npz", ("accuracy",), 0, missing_label="-1")
    assert result["missing_label"] == "-1" and result["rows"][0]["n"] == 72
    assert "missing_label" not in evaluate(tmp_path / "c.npz", ("accuracy",), 0)


def agreement(y_test: np.ndarray, probe_y: np.ndarray) -> float:
    images = {"generated": IMAGES, "x_test": IMAGES, "probe_x": IMAGES}
    return metric("agreement")(images | {"y_test": y_test, "probe_y": probe_y}).value


def test_labels_of_images_and_of_the_probe_have_one_vocabulary():
    half = CLASSES // 2
    words = np.array(["no", "yes"])[half]
    for y_test in (half, 2 * half - 1, half.astype(bool), half.astype(float)):
        for probe_y in (half, 2 * half - 1, half.astype(bool), half.astype(np.float32)):
            assert agreement(y_test, probe_y) == 1
    assert agreement(words, words) == 1 and agreement(np.eye(4)[CLASSES], np.eye(4)[CLASSES]) == 1
    for y_test, probe_y in ((words, half), (half, words), (CLASSES + 1, CLASSES), (half + 5, half)):
        with pytest.raises(UserError, match="label column 0: y_test has .*, which probe_y has not"):
            agreement(y_test, probe_y)
    with pytest.raises(UserError, match=r"probe_y has 2 label column\(s\) and y_test 1"):
        agreement(half, BINARY[:, :2])


def test_label_columns_are_named_rightly_behind_a_constant_one():
    y = np.stack((np.ones(80), CLASSES, np.linspace(0, 1, 80)), 1)
    for name in ("auroc", "dci", "mig", "factor_vae"):
        with pytest.raises(UserError, match="label column 2 has 80 different values"):
            metric(name)({"z": Z, "y": y})
    named = {"z": Z, "y": np.concatenate((0 * BINARY[:, :1], BINARY), 1), "y_names": np.array(["none", "a", "b", "c"])}
    assert metric("dci", SMALL["dci"])(named).extra["factors"] == ["a", "b", "c"]


def test_fits_that_do_not_converge_are_said(monkeypatch):
    assert metric("auroc")({"z": Z, "y": CLASSES}).note == ""
    monkeypatch.setattr(_probe, "linear_probe", lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=2)))
    z = Z + 1e-9  # other codes than those that are kept
    assert metric("auroc")({"z": z, "y": CLASSES}).note == "5 of 5 probe fits did not converge"
    images = {"generated": IMAGES, "x_test": IMAGES, "probe_x": 1 - IMAGES, "y_test": CLASSES, "probe_y": CLASSES}
    assert "1 of 1 probe fits did not converge" in metric("agreement")(images).note
