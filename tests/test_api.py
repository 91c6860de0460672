"""The public interface: own images in, codes and images out, in ten lines."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from typer.testing import CliRunner

import paramrel
from paramrel.errors import Unsupported, UserError
from suite.commands.main import app
from tests.conftest import ROOT

DIGITS = load_digits()
GREY = (DIGITS.images / 16).astype(np.float32)
SMALL = {"channels": 8, "latent_dim": 8, "batch_size": 32, "threads": 1}


@pytest.fixture(scope="module")
def digits() -> paramrel.Images:
    return paramrel.images(GREY, labels=DIGITS.target, name="digits")


@pytest.fixture(scope="module")
def vae(digits) -> paramrel.Model:
    return paramrel.train("vae", digits, steps=120, **SMALL)


@pytest.fixture(scope="module")
def flow(digits) -> paramrel.Model:
    return paramrel.train("paramrel_c", digits, steps=3, **SMALL)


def write_png(path: Path, array: np.ndarray, **how) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **how)


# Images as people have them.


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x,
        lambda x: x.astype(np.float64),
        lambda x: np.rint(x * 255).astype(np.uint8),
        lambda x: x[..., None],
        lambda x: x[:, None],
        lambda x: np.asfortranarray(x),
    ],
    ids=["float32", "float64", "uint8", "NHWC", "NCHW", "Fortran order"],
)
def test_every_form_of_the_same_images_gives_the_same_codes(vae, form):
    assert np.array_equal(vae.encode(form(GREY[:9])), vae.encode(GREY[:9]))


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (GREY * 16, r"float images must lie in \[0, 1\].*divide by the largest value"),
        (GREY - 0.5, "must lie in .*: shift and scale"),
        (np.where(GREY > 0.9, np.nan, GREY), "hold NaN"),
        (np.zeros((16, 16, 3), np.uint8), "looks like one colour image"),
        ((GREY * 255).astype(np.int64), "images of type int64: give uint8"),
        (GREY[0], r"images must be \(N, H, W\)"),
        (np.zeros((9, 4, 8, 4), np.float32), "say where the channels are"),
        (GREY[:0], "there is none"),
        (GREY[:5], "too few"),
    ],
)
def test_arrays_that_cannot_be_meant_are_refused(array, says):
    with pytest.raises(UserError, match=says):
        paramrel.images(array)


def test_another_size_and_other_values_are_refused_before_a_code_is_made(vae):
    with pytest.raises(UserError, match="images are 1x7x8 .* trained on 1x8x8"):
        vae.encode(GREY[:2, :7])
    with pytest.raises(UserError, match="divide by"):
        vae.encode(DIGITS.images[:2])


def test_binary_images_are_told_from_grey_ones():
    binary = paramrel.images(GREY > 0.5)
    assert binary.data.binary and binary.data.levels == 1 and set(np.unique(binary.train)) == {0, 255}
    assert not paramrel.images(GREY).data.binary
    model = paramrel.train("paramrel_d", binary, steps=2, **SMALL)
    assert np.array_equal(model.encode(GREY[:3] > 0.5), model.encode((GREY[:3] > 0.5).astype(np.float32)))
    with pytest.raises(UserError, match="trained on binary images"):
        model.encode(GREY[:3])
    with pytest.raises(UserError, match="paramrel_c does not run on images: binary images: paramrel_d"):
        paramrel.train("paramrel_c", binary, steps=2)


def test_a_folder_with_classes_and_a_split(tmp_path):
    rng = np.random.default_rng(0)
    for split, n in (("train", 10), ("test", 3)):
        for kind in ("cat", "dog"):
            for i in range(n):
                write_png(tmp_path / split / kind / f"{i}.png", rng.integers(0, 255, (6, 7, 3), dtype=np.uint8))
    found = paramrel.images(tmp_path, labels="folder")
    assert found.classes == ("cat", "dog") and found.train.shape == (20, 6, 7, 3) and len(found.test) == 6
    assert sorted(found.test_labels) == [0] * 3 + [1] * 3 and found.notes == ()


def test_photos_are_turned_transparency_and_16_bits_are_said(tmp_path):
    for i in range(8):
        write_png(tmp_path / f"plain{i}.png", np.full((5, 5), 10 * i, np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.fromarray(np.tile(np.arange(0, 200, 40, np.uint8), (4, 1))).save(tmp_path / "turned.png", exif=exif)
    write_png(tmp_path / "deep.png", np.full((5, 5), 40_000, np.uint16))
    clear = np.zeros((5, 5, 4), np.uint8)
    write_png(tmp_path / "clear.png", clear)
    found = paramrel.images(tmp_path, size=5)
    assert set(found.notes) == {
        "16-bit greys made 8-bit (divided by 256)",
        "resized to 5x5",
        "transparent pixels put on white",
        "turned upright as EXIF says",
    }
    every = np.concatenate([found.train, found.test])
    assert (every == 255).all((1, 2, 3)).sum() == 1, "a clear picture is white"
    assert (every == 40_000 >> 8).all((1, 2, 3)).sum() == 1


def test_damaged_files_and_sizes_are_named_before_anything_is_trained(tmp_path):
    for i in range(9):
        write_png(tmp_path / f"{i}.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    (tmp_path / "half.png").write_bytes((tmp_path / "0.png").read_bytes()[:40])
    with pytest.raises(UserError, match=r"2 file\(s\) cannot be read: .*broken.png.*half.png.*repair or remove"):
        paramrel.images(tmp_path)
    (tmp_path / "broken.png").unlink()
    (tmp_path / "half.png").unlink()
    write_png(tmp_path / "wide.png", np.zeros((4, 6), np.uint8))
    with pytest.raises(UserError, match=r"differ in size: .* is 4x4, .*wide.png 4x6: give size="):
        paramrel.images(tmp_path)
    with pytest.raises(UserError, match="holds no image file"):
        paramrel.images((tmp_path / "empty").mkdir() or tmp_path / "empty")
    with pytest.raises(UserError, match="neither a folder nor"):
        paramrel.images(tmp_path / "nowhere")


def test_an_npz_file_brings_images_and_labels(tmp_path):
    np.savez(tmp_path / "a.npz", images=GREY[:40], labels=np.array(["odd", "even"] * 20))
    assert paramrel.images(tmp_path / "a.npz").classes == ("even", "odd")
    np.savez(tmp_path / "b.npz", pictures=GREY[:40])
    with pytest.raises(UserError, match="no array named images; it has pictures"):
        paramrel.images(tmp_path / "b.npz")


# Models.


def test_codes_carry_the_class_and_scores_are_the_suites(digits, vae):
    z = vae.encode(digits.test)
    assert z.shape == (len(digits.test), 8) and z.dtype == np.float32
    assert paramrel.score(z, digits.test_labels, "auroc") > 0.85
    with pytest.raises(UserError, match="did you mean 'auroc'"):
        paramrel.score(z, digits.test_labels, "aurok")


def test_every_use_gives_images_in_the_users_order_of_axes(digits, flow):
    x = digits.test[:3]
    assert flow.decode(flow.encode(x)).shape == (3, 8, 8)
    assert flow.sample(2, steps=2).shape == (2, 8, 8)
    assert flow.generate(flow.encode(x), steps=2).shape == (3, 8, 8)
    assert flow.reconstruct(x, steps=2).shape == (3, 8, 8)
    assert flow.traverse(x[:1], dims=(1, 4), n=5, steps=1).shape == (1, 2, 5, 8, 8)
    assert flow.interpolate(x[:2], x[1:], n=3, steps=1).shape == (2, 3, 8, 8)
    assert flow.log_likelihood(x).shape == (3,)
    for made in (flow.decode(flow.encode(x)), flow.sample(2, steps=2)):
        assert made.dtype == np.float32 and made.min() >= 0 and made.max() <= 1
    colour = paramrel.images(np.random.default_rng(0).random((40, 6, 5, 3)), name="noise")
    assert paramrel.train("ae", colour, steps=1, **SMALL).reconstruct(colour.test[:2]).shape == (2, 6, 5, 3)


def test_draws_are_functions_of_the_seed(flow):
    assert np.array_equal(flow.sample(2, seed=1, steps=2), flow.sample(2, seed=1, steps=2))
    assert not np.array_equal(flow.sample(2, seed=1, steps=2), flow.sample(2, seed=2, steps=2))


def test_a_training_is_a_function_of_its_seed(digits, flow):
    again = paramrel.train("paramrel_c", digits, steps=3, **SMALL)
    other = paramrel.train("paramrel_c", digits, steps=3, seed=1, **SMALL)
    assert np.array_equal(again.encode(digits.test[:5]), flow.encode(digits.test[:5]))
    assert not np.array_equal(other.encode(digits.test[:5]), flow.encode(digits.test[:5]))


def test_what_a_method_cannot_do_has_a_reason(digits):
    ae = paramrel.train("ae", digits, steps=1, **SMALL)
    with pytest.raises(Unsupported, match="infinite"):
        ae.log_likelihood(digits.test[:2])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda data: paramrel.train("vea", data), "did you mean 'vae'"),
        (lambda data: paramrel.train("vae", data, latent_dims=3), "did you mean 'latent_dim'"),
        (lambda data: paramrel.train("vae", data, latent_dim=0), "latent_dim"),
        (lambda data: paramrel.train("vae", data, channels=12), "groups=8 does not divide"),
        (lambda data: paramrel.train("paramrel_c", data, variant="ahed"), "did you mean 'ahead'"),
    ],
)
def test_bad_settings_are_answered_before_the_training(digits, call, says):
    with pytest.raises(UserError, match=says):
        call(digits)


def test_bad_arguments_are_answered_in_one_line(digits, flow, tmp_path):
    (tmp_path / "file").write_text("")
    for call, says in (
        (lambda: paramrel.train("vae", GREY), "takes what paramrel.images gives"),
        (lambda: paramrel.train("vae", digits, seed=-1), "seed=-1"),
        (lambda: paramrel.train("vae", digits, device="gpu"), "device='gpu': give one of auto"),
        (lambda: flow.sample(0), "n=0"),
        (lambda: flow.sample(2, steps=-3), "steps=-3"),
        (lambda: flow.interpolate(digits.test[:1], digits.test[1:2], kind="spline"), "kind='spline'"),
        (lambda: flow.encode("png/"), "not as str"),
        (lambda: flow.save(tmp_path / "file"), "is a file"),
        (lambda: paramrel.images(GREY, size=4), "resize it before"),
        (lambda: paramrel.images(np.zeros((9, 8, 8, 3)), layout="NCHW"), "8 channels"),
    ):
        with pytest.raises(UserError, match=says):
            call()
    assert len(repr(flow)) < 150 and "paramrel_c" in repr(flow)


def test_a_metrics_of_ones_own_is_named(tmp_path):
    (tmp_path / "metrics.py").write_text("")
    code = (
        "import numpy, paramrel; paramrel.images(numpy.eye(16)[:, None]); paramrel.score(numpy.eye(9), numpy.arange(9))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert "UserError: a module of your own called metrics" in done.stderr


def test_a_model_is_loaded_without_its_images(digits, vae, tmp_path):
    folder = vae.save(tmp_path / "model")
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.safetensors"]
    loaded = paramrel.Model.load(folder)
    assert np.array_equal(loaded.encode(digits.test), vae.encode(digits.test))
    assert np.array_equal(loaded.z_std, vae.z_std)
    with pytest.raises(UserError, match="loaded without its images"):
        loaded.data.load("train")


def test_a_folder_that_holds_no_sound_model_is_refused(vae, tmp_path):
    with pytest.raises(UserError, match="holds no model"):
        paramrel.Model.load(tmp_path)
    folder = vae.save(tmp_path / "model")
    said = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(said | {"method_version": 99}))
    with pytest.raises(UserError, match="another version of vae"):
        paramrel.Model.load(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        paramrel.Model.load(folder)
    vae.save(folder)
    (folder / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(UserError, match="cannot be loaded"):
        paramrel.Model.load(folder)


# scikit-learn.


@parametrize_with_checks([paramrel.CodeTransformer("pca", settings={"latent_dim": 2})])
def test_it_is_a_scikit_learn_transformer(estimator, check):
    check(estimator)


def test_it_stands_in_a_pipeline_and_decodes():
    rows = GREY.reshape(len(GREY), -1)
    codes = paramrel.CodeTransformer("pca", image_shape=(8, 8), settings={"latent_dim": 16})
    pipeline = make_pipeline(codes, LogisticRegression(max_iter=500)).fit(rows[:1200], DIGITS.target[:1200])
    assert pipeline.score(rows[1200:], DIGITS.target[1200:]) > 0.8
    back = codes.inverse_transform(codes.transform(rows[1200:]))
    assert back.shape == (597, 64) and np.square(back - rows[1200:]).mean() < 0.02
    assert list(codes.get_feature_names_out()[:2]) == ["z0", "z1"]


# The shell.


def test_own_images_from_the_shell(tmp_path):
    for i, image in enumerate(DIGITS.images[:200]):
        write_png(tmp_path / "png" / str(DIGITS.target[i]) / f"{i}.png", (image * 15).astype(np.uint8))
    runner = CliRunner()
    model, codes, png = (str(tmp_path / name) for name in ("model", "codes.npz", "png"))
    training = ["train", "--images", png, "--labels", "--method", "pca", "--set", "latent_dim=8", "--out", model]
    done = runner.invoke(app, training)
    assert done.exit_code == 0 and "held out" in done.output, done.output
    done = runner.invoke(app, ["encode", "--model", model, "--images", png, "--labels", "--out", codes])
    assert done.exit_code == 0, done.output
    with np.load(codes) as file:
        assert file["z"].shape == (200, 8) and set(file["y"]) == set(map(str, range(10)))
        assert paramrel.score(file["z"], file["y"], "accuracy") > 0.5
    for wrong in (training, training[:-2], ["train", "--method", "vae"], ["encode", "--model", model, "--images", png]):
        assert runner.invoke(app, wrong).exit_code == 2
    assert runner.invoke(app, ["train", "--images", png, "--dataset", "digits", "--method", "vae"]).exit_code == 2


# The page.


def test_importing_the_package_loads_nothing_heavy():
    code = "import paramrel, sys; print('torch' in sys.modules, 'sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("block", range(2))
def test_the_lines_of_the_page_run_as_written(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, image in enumerate(DIGITS.images[:600]):
        write_png(tmp_path / "png" / str(DIGITS.target[i]) / f"{i}.png", (image * 15).astype(np.uint8))
    text = (ROOT / "docs/api.md").read_text()
    lines = re.findall(r"```python\n(.*?)```", text, re.S)[block]
    shorter = re.sub(r"steps=\d+", "steps=2", lines)
    exec(compile(shorter, "docs/api.md", "exec"), {})
