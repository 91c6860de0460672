"""Metrics of images' quality: identities, order of what is better and worse, what is kept."""

import os

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, median_filter

from metrics import keep_in, metric, metrics
from metrics._features import N_LEAST, features
from metrics._images import noise_like
from metrics.coverage import K, within
from metrics.frechet import frechet
from metrics.speckle import speckle
from paramrel.data import dataset
from paramrel.errors import Unsupported
from paramrel.rng import Rng
from suite.graph.config import Evaluate
from suite.measure.encode import _images
from tests.toys import build

KINDS = ("frechet", "density", "coverage")
REAL = pytest.mark.skipif(not os.environ.get("PARAMREL_DATA"), reason="real images lie under $PARAMREL_DATA")


def held_out(name: str, n: int = 400, n_probe: int = 1500) -> dict[str, np.ndarray]:
    """Real images of a data set in place of samples and of generated images."""
    data = dataset(name)
    draw = np.random.default_rng(0).permutation
    x, y = data.evaluation_images("test", draw(data.size("test"))[:n])
    probe_x, probe_y = data.evaluation_images("train", draw(data.size("train"))[:n_probe])
    made = dict.fromkeys(("sampled", "generated", "decoded"), x)
    return {"x_test": x, "y_test": y, "probe_x": probe_x, "probe_y": probe_y} | made


@pytest.fixture(autouse=True, scope="module")
def classifiers(tmp_path_factory):
    """Those of this module are trained once each."""
    with keep_in(tmp_path_factory.mktemp("classifiers")):
        yield


@pytest.fixture(scope="module")
def digits():
    return held_out("digits")


def grainy(images: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=images.shape)
    return (images + sigma * noise).clip(0, 1).astype(np.float32)


def flipped(images: np.ndarray, share: float) -> np.ndarray:
    """Binary images with a share of pixels wrong."""
    return np.where(np.random.default_rng(1).random(images.shape) < share, 1 - images, images)


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_filter(images.astype(np.float32), (0, 0, sigma, sigma))


def test_speckle_of_one_image_by_hand():
    x = np.random.default_rng(0).random((1, 2, 5, 4))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    medians = [np.median(padded[0, c, i : i + 3, j : j + 3]) for c in range(2) for i in range(5) for j in range(4)]
    assert speckle(x)[0] == pytest.approx(np.abs(x.ravel() - medians).mean(), rel=1e-5)


def test_real_images_have_speckle_1_and_all_three_see_their_own_images(digits):
    for name, array in (("speckle", "sampled"), ("speckle_generated", "generated"), ("speckle_from_code", "decoded")):
        assert metric(name)(digits).value == 1
        smooth = median_filter(digits["x_test"], (1, 1, 3, 3), mode="nearest")
        assert metric(name)(digits | {array: smooth}).value < 0.3
        assert metric(name)(digits | {array: grainy(digits["x_test"], 0.1)}).value > 1.05


def test_speckle_knows_neither_order_nor_contrast_nor_number_of_images(digits):
    case = digits | {"sampled": grainy(digits["x_test"], 0.1)}
    value = metric("speckle")(case)
    changed = case | {"sampled": case["sampled"][::-1].repeat(2, 0), "x_test": case["x_test"][::-1]}
    assert metric("speckle")(changed).value == value.value and metric("speckle")(changed).n == 2 * value.n
    scaled = case | {"sampled": case["sampled"] / 2 + 0.25, "x_test": case["x_test"] / 2}
    assert metric("speckle")(scaled).value == pytest.approx(value.value, rel=1e-5)
    assert 1 < value.value < metric("speckle").chance(case), "noise with the pixels of the data has most"


def test_speckle_says_why_there_is_none(digits):
    flat = np.full_like(digits["x_test"], 0.5)
    assert metric("speckle")(digits | {"sampled": flat}).value == 0
    with pytest.raises(Unsupported, match="half of the real images have no speckle at all"):
        metric("speckle")(digits | {"x_test": flat})
    with pytest.raises(Unsupported, match="under 3 x 3"):
        metric("speckle")({"sampled": flat[:, :, :2], "x_test": flat[:, :, :2]})


def test_notblur_ticks_smooth_images_with_noise_and_speckle_does_not():
    x = np.random.default_rng(0).random((20, 1, 4, 4)).repeat(8, 2).repeat(8, 3)
    made = grainy(blurred(x, 2.0), 0.05)
    case = {"x_test": x, "reconstructed": made, "sampled": made}
    assert metric("notblur")(case).extra["tick"] and metric("speckle")(case).value > 2


def test_the_frechet_distance_of_gaussians_is_the_closed_form():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(4000, 3))
    assert frechet(a, a) == pytest.approx(0, abs=1e-12)
    assert frechet(a, a + 2) == pytest.approx(4), "the mean's distance, over features"
    assert frechet(a, 3 * a) == pytest.approx(4 * (a.var(0, ddof=1).mean() + (a.mean(0) ** 2).mean()), rel=1e-6)
    turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    b = a[::-1] * [1, 2, 3] + 1
    assert frechet(a @ turned, b @ turned) == pytest.approx(frechet(a, b)) == pytest.approx(frechet(b, a))
    few = rng.normal(size=(5, 32))
    assert np.isfinite(frechet(few, few[::-1])) and frechet(few, few[::-1]) == pytest.approx(0, abs=1e-6), "singular"


def test_the_frechet_distance_is_biased_as_its_docstring_says():
    rng = np.random.default_rng(0)
    n_features, n, m = 32, 400, 600
    values = [frechet(rng.normal(size=(n, n_features)), rng.normal(size=(m, n_features))) for _ in range(10)]
    assert np.mean(values) == pytest.approx((1 / n + 1 / m) * (n_features + 5) / 4, rel=0.1)


def test_density_and_coverage_of_equal_distributions_are_those_of_the_reference():
    rng = np.random.default_rng(0)
    inside = [within(rng.normal(size=(500, 8)), rng.normal(size=(500, 8))) for _ in range(4)]
    assert np.mean([one.sum(0).mean() / K for one in inside]) == pytest.approx(1, abs=0.05)
    assert np.mean([one.any(1).mean() for one in inside]) == pytest.approx(1 - 2**-K, abs=0.02)
    line = np.arange(20.0)[:, None]
    hit = within(line, np.array([[0.5], [100.0]]))
    assert not hit[:, 1].any() and np.flatnonzero(hit[:, 0]).tolist() == [0, 1, 2, 3], "they reach 5, 4, 3, 3"


@pytest.mark.parametrize("kind", KINDS)
def test_made_images_equal_to_the_held_out_ones_score_as_these(kind, digits):
    real = metric(f"{kind}_real")(digits).value
    assert metric(f"{kind}_generated")(digits).value == real
    assert metric(kind)(digits | {"sampled": digits["x_test"][::-1]}).value == pytest.approx(real)
    chance = metric(kind).chance(digits)
    assert chance > 10 * real if kind == "frechet" else chance < 0.2 * real


@pytest.mark.parametrize("name", ["digits", pytest.param("fashionmnist_32", marks=REAL)])
def test_grain_and_blur_are_worse_than_real_and_better_than_noise(name):
    case = held_out(name)
    distance, covered = metric("frechet"), metric("coverage")
    for spoil, little, more in ((grainy, 0.1, 0.2), (blurred, 0.6, 1.0)):
        first, second = (case | {"sampled": spoil(case["x_test"], much)} for much in (little, more))
        assert metric("frechet_real")(case).value < distance(first).value < distance(second).value, spoil.__name__
        assert distance(second).value < distance.chance(case)
        assert covered(first).value > covered(second).value > covered.chance(case)


@REAL
def test_wrong_pixels_of_binary_images_are_seen_in_order():
    case = held_out("mnist_binarized")
    values = [metric("frechet")(case | {"sampled": flipped(case["x_test"], p)}).value for p in (0, 0.02, 0.05, 0.15)]
    assert values == sorted(values) and values[1] > 1.5 * values[0] and values[-1] < metric("frechet").chance(case)


def test_missing_classes_and_one_image_over_and_over_are_seen(digits):
    real = {kind: metric(f"{kind}_real")(digits).value for kind in KINDS}
    half = digits["x_test"][digits["y_test"] < 5]
    one = np.repeat(digits["probe_x"][:1], len(digits["x_test"]), 0)
    for made, worst in ((half, 0.75), (one, 0.1)):
        assert metric("frechet")(digits | {"sampled": made}).value > 2 * real["frechet"]
        assert metric("coverage")(digits | {"sampled": made}).value < worst * real["coverage"]


def test_attributes_factors_and_words_train_a_classifier_as_classes_do(digits):
    real = metric("frechet_real")(digits).value
    y = digits["probe_y"]
    for labels in (np.stack([y % 2, y // 5, 0 * y], 1), y % 2, np.array([f"a {c}" for c in y])):
        case = digits | {"probe_y": labels, "sampled": noise_like(digits["x_test"])}
        assert metric("frechet")(case).value > 5 * real


@pytest.mark.parametrize("kind", KINDS)
def test_what_no_classifier_can_be_trained_on_is_said(kind, digits):
    few = N_LEAST - 1
    cases = {
        "training labels are constant": {"probe_y": 0 * digits["probe_y"]},
        "too few: give 50 and 150": {"sampled": digits["sampled"][:few]},
        "are too few": {"probe_x": digits["probe_x"][: 3 * few], "probe_y": digits["probe_y"][: 3 * few]},
        "under 3 x 3": {key: digits[key][:, :, :2] for key in ("sampled", "probe_x")},
        "training images are all the same": {"probe_x": 0 * digits["probe_x"]},
    }
    for said, changed in cases.items():
        with pytest.raises(Unsupported, match=said):
            metric(kind)(digits | changed)


@pytest.fixture
def fits(monkeypatch):
    """Grows by one with every classifier that is trained."""
    from sklearn.neural_network import MLPClassifier

    fits, fit = [], MLPClassifier.fit
    monkeypatch.setattr(MLPClassifier, "fit", lambda self, x, y: (fits.append(len(x)), fit(self, x, y))[1])
    return fits


def test_a_classifier_is_trained_once_per_data_set_and_kept_as_plain_arrays(tmp_path, digits, fits):
    case = digits | {"probe_x": digits["probe_x"][:600], "probe_y": digits["probe_y"][:600]}
    cells = [case | {"sampled": grainy(case["x_test"], sigma)} for sigma in (0.11, 0.12)]
    with keep_in(tmp_path):
        first = [metric("frechet")(cell).value for cell in cells]
        assert fits == [400] and [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".npz"]
        metric("frechet")(cells[0] | {"probe_x": 1 - case["probe_x"]})
        metric("frechet")(cells[0] | {"probe_y": case["probe_y"] % 2})
        assert len(fits) == 3, "other images or labels, another classifier"
        (kept,) = [
            path
            for path in tmp_path.glob("*.npz")
            if path.stat().st_mtime_ns == min(p.stat().st_mtime_ns for p in tmp_path.glob("*.npz"))
        ]
        kept.write_bytes(b"damaged")
        again = metric("frechet")(cells[1] | {"sampled": cells[1]["sampled"][::-1]}).value
        assert len(fits) == 4 and again == pytest.approx(first[1])
    (tmp_path / "file").touch()
    with keep_in(tmp_path / "file"):
        assert metric("frechet")(cells[0] | {"sampled": cells[0]["sampled"][::-1]}).value == pytest.approx(first[0])


def test_features_are_the_same_in_every_process_and_standardised(digits):
    args = digits["probe_x"], digits["probe_y"]
    real, made = features(*args, digits["x_test"])
    again = features.__wrapped__(*args, digits["x_test"])
    assert np.array_equal(real, again[0]) and np.array_equal(made, again[1])
    assert real.shape == (len(args[0]) // 3, 32)
    assert np.abs(real.mean(0)).max() < 0.2 and np.abs(real.std(0) - 1).max() < 0.3


@torch.no_grad()
def test_encode_draws_as_many_samples_as_there_are_held_out_images():
    data, evaluate = dataset("digits_binarized"), Evaluate(n_images=20, n_probe_images=10, sampling_steps=2)
    without, _ = _images(build("ae", data), data, evaluate, Rng((0,)))
    assert "sampled" not in without and "no prior" in str(without["skipped/sampled"])
    made = [_images(build("vae", data), data, evaluate, Rng((seed,)))[0] for seed in (0, 0, 1)]
    first, again, other = (arrays["sampled"] for arrays in made)
    assert first.shape == made[0]["x_test"].shape == (20, 1, 8, 8) and 0 <= first.min() <= first.max() <= 1
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert not np.array_equal(first, made[0]["generated"]), "codes are drawn too"


def test_noise_has_the_pixels_of_each_channel(digits):
    x = np.random.default_rng(0).random((5, 3, 4, 4))
    noise = noise_like(x)
    assert noise.shape == x.shape and not np.array_equal(noise, x)
    assert np.array_equal(np.sort(noise, axis=None), np.sort(x, axis=None))
    assert all(set(noise[:, c].ravel()) == set(x[:, c].ravel()) for c in range(3))


def test_no_metric_of_ours_is_called_fid():
    assert not [name for name, cls in metrics().items() if "fid" in name.split("_") or "FID" in cls.title]
