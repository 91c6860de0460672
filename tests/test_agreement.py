"""Class agreement: shares for classes, AUROC for attributes, with the probe's own score beside them."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metrics import keep_in, metric
from paramrel.errors import Unsupported

N = 300


def faces(seed: int = 0, noise: float = 0.3) -> dict[str, np.ndarray]:
    """Images whose rows of pixels show attributes, of which one is rare and one common, with noise."""
    rng = np.random.default_rng(seed)
    y = rng.random((2 * N, 4)) < [0.1, 0.5, 0.81, 0.3]
    x = np.clip(y[:, None, :, None] * 0.5 + 0.25 + noise * rng.normal(size=(2 * N, 1, 4, 4)), 0, 1)
    return {
        "x_test": x[:N],
        "y_test": y[:N].astype(int),
        "probe_x": x[N:],
        "probe_y": y[N:].astype(int),
        "generated": x[:N],
    }


def classes() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    y = np.arange(2 * N) % 5
    x = rng.random((2 * N, 1, 5, 3)) * 0.9
    x[np.arange(2 * N), 0, y, 0] += 0.1
    return {"x_test": x[:N], "y_test": y[:N], "probe_x": x[N:], "probe_y": y[N:], "generated": x[:N][::-1]}


def test_classes_are_shares_as_in_the_first_version():
    arrays = classes()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(arrays["probe_x"].reshape(N, -1), arrays["probe_y"])
    share, own = (
        np.mean(model.predict(arrays[name].reshape(N, -1)) == arrays["y_test"]) for name in ("generated", "x_test")
    )
    value = metric("agreement")(arrays)
    assert value.value == share and value.extra["ceiling"] == own
    assert value.note == f"the probe is right on {own:.3f} of the real images"
    assert metric("agreement").chance(arrays) == 0.2
    assert metric("agreement_ceiling")(arrays).value == own


def test_attributes_are_aurocs_of_the_probes_score():
    arrays = faces()
    expected = []
    for known, wanted in zip(arrays["probe_y"].T, arrays["y_test"].T, strict=True):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(
            arrays["probe_x"].reshape(N, -1), known
        )
        expected.append(roc_auc_score(wanted, model.predict_proba(arrays["generated"].reshape(N, -1))[:, 1]))
    value = metric("agreement")(arrays)
    assert value.value == pytest.approx(np.mean(expected)) and value.extra["per_label"] == pytest.approx(expected)
    assert value.extra["measure"] == "auroc" and value.extra["ceiling"] == value.value > 0.8
    assert "the probe's AUROC on the real images is" in value.note
    assert metric("agreement").chance(arrays) == 0.5


def test_a_decoder_that_ignores_the_code_is_at_chance_whatever_it_draws():
    arrays = faces()
    rng = np.random.default_rng(3)
    drawn = {
        "noise": rng.random((N, 1, 4, 4)),
        "other images": arrays["x_test"][rng.permutation(N)],
        "one image": np.repeat(arrays["x_test"][:1], N, 0),
    }
    for what, generated in drawn.items():
        value = metric("agreement")(arrays | {"generated": generated})
        assert value.value == pytest.approx(0.5, abs=0.06), what
        assert value.extra["ceiling"] == metric("agreement_ceiling")(arrays).value > 0.8


def test_a_constant_attribute_more_names_and_types_change_nothing():
    arrays = faces()
    expected = metric("agreement")(arrays).value
    constant = {name: np.insert(arrays[name], 2, 1, 1) for name in ("y_test", "probe_y")}
    assert metric("agreement")(arrays | constant).value == expected
    assert metric("agreement")(arrays | constant).extra["labels"] == [0, 1, 3, 4]
    words = {name: np.array(["no", "yes"])[arrays[name]] for name in ("y_test", "probe_y")}
    signs = {name: 2 * arrays[name] - 1 for name in ("y_test", "probe_y")}
    assert metric("agreement")(arrays | words).value == metric("agreement")(arrays | signs).value == expected
    turned = {name: np.asfortranarray(array) for name, array in arrays.items()}
    assert metric("agreement")(turned).value == expected


def test_an_attribute_that_all_images_share_is_left_out_with_a_note():
    arrays = faces()
    y = arrays["y_test"].copy()
    y[:, 0] = 0
    value = metric("agreement")(arrays | {"y_test": y})
    assert value.note.endswith("1 attribute(s) that all images share left out") and value.extra["labels"] == [1, 2, 3]
    with pytest.raises(Unsupported, match="nothing to agree on"):
        metric("agreement")(arrays | {"y_test": 0 * y})


def test_the_ceiling_takes_the_fit_of_the_agreement(tmp_path):
    arrays = faces()
    with keep_in(tmp_path):
        metric("agreement")(arrays)
        kept = sorted(tmp_path.rglob("*.npz"))
        metric("agreement_ceiling")(arrays)
        assert sorted(tmp_path.rglob("*.npz")) == kept and len(kept) == 4
