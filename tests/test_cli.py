"""The command line: help, clear errors, nothing half-written, anybody's codes."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from metrics import metric
from paramrel.method import method
from paramrel.settings import Network, Runtime, Train
from suite.commands.main import app
from tests.conftest import ROOT, TINY_PRESET, run


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def paramrel(*arguments: str, **env: str) -> Result:
    """Run a command in this process (a process of its own would import torch anew every time)."""
    return CliRunner().invoke(app, arguments, env=env, catch_exceptions=False)


def assert_one_line_error(done: Result, *parts: str) -> None:
    assert done.exit_code == 2, done.output
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    for part in parts:
        assert part in lines[0]


@pytest.fixture
def codes(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    np.savez(tmp_path / "codes.npz", z=rng.normal(size=(100, 3)) + y[:, None], y=y)
    return tmp_path / "codes.npz"


def test_every_command_has_help():
    listing = paramrel("--help").stdout
    for command in ("train", "encode", "evaluate", "figures", "table", "list", "check-config"):
        assert command in listing


def test_the_installed_command_exits_with_2_and_one_line():
    done = run("paramrel", "check-config", "--preset", "quik", cwd=ROOT)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stderr.startswith("error: params.yaml")


def test_listing_names_every_member():
    assert "paramrel_d" in paramrel("list", "methods").stdout
    assert "digits_binarized" in paramrel("list", "datasets").stdout
    assert "auroc" in paramrel("list", "metrics").stdout
    assert_one_line_error(paramrel("list", "method"), "did you mean 'methods'")


def test_dry_run_prints_the_resolved_configuration_and_writes_nothing(tiny_params, tmp_path):
    done = paramrel(
        "train",
        "--dataset",
        "digits_binarized",
        "--method",
        "vae",
        "--config",
        str(tiny_params),
        "--runs",
        str(tmp_path / "runs"),
        "--dry-run",
    )
    shown = json.loads(done.stdout)
    assert shown["resolved"]["train"]["steps"] == 12
    assert shown["resolved"]["config"] == method("vae").Config().model_dump(mode="json") != {}
    assert shown["path"].startswith(str(tmp_path / "runs/digits_binarized/vae-default/seed0-"))
    assert not (tmp_path / "runs").exists()


def test_train_encode_evaluate_by_hand(tiny_params, tmp_path):
    cell = (
        "--dataset",
        "digits_binarized",
        "--method",
        "vae",
        "--seed",
        "1",
        "--config",
        str(tiny_params),
        "--runs",
        str(tmp_path / "runs"),
    )
    assert_one_line_error(paramrel("encode", *cell), "is not trained", "run paramrel train first")
    assert paramrel("train", *cell, "--state", str(tmp_path / "state")).exit_code == 0
    record = json.loads(next(tmp_path.rglob("run.json")).read_text())
    assert record["resolved"]["seed"] == 1 and len(record["data_sha256"]) == 64 and record["parameters"] > 0
    assert set(record["libraries"]) >= {"torch", "numpy"} and record["machine"]["threads"] == 1
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    assert record["code"]["commit"] == (head or None) and record["code"]["dirty"] in (True, False, None)
    assert record["lock_sha256"] == hashlib.sha256((ROOT / "uv.lock").read_bytes()).hexdigest()
    assert record["seconds"] > 0 and record["peak_memory_mib"] > 50
    assert record["machine"]["processor"] and record["machine"]["blas"]
    state = ("--state", str(tmp_path / "state"))
    assert_one_line_error(paramrel("train", *cell, *state), "is trained already", "--force trains it anew")
    checkpoint = next((tmp_path / "state/digits_binarized").rglob("state.safetensors"))
    weights = next(tmp_path.rglob("model.safetensors"))
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    assert_one_line_error(paramrel("encode", *cell, *state), "is not of the weights that are here", "train again")
    assert checkpoint.exists(), "it is wanted until the weights were read"
    assert paramrel("train", *cell, *state).exit_code == 0 and weights.read_bytes() == kept, "from the last checkpoint"
    codes = paramrel("encode", *cell, *state).stdout.strip()
    assert not checkpoint.parent.exists()
    with np.load(codes) as arrays:
        z, other = arrays["z"], arrays["z_other_type"]
    assert other.shape == z.shape and not np.allclose(other, z)
    done = paramrel(
        "evaluate",
        codes,
        "--metric",
        "auroc",
        "--metric",
        "auroc_other_type",
        "--metric",
        "agreement",
        "--out",
        str(tmp_path / "m.json"),
    )
    assert done.exit_code == 0, done.stderr
    rows = {row["metric"]: row for row in json.loads((tmp_path / "m.json").read_text())["rows"]}
    assert rows["auroc"]["n"] == rows["auroc_other_type"]["n"] == 1797
    assert len(rows["auroc"]["folds"]) == 5 and rows["agreement"]["n"] == 40
    for _ in range(2):  # the second time with the probe that the first one kept
        again = paramrel(
            "evaluate",
            codes,
            "--metric",
            "agreement",
            "--out",
            str(tmp_path / "n.json"),
            "--state",
            str(tmp_path / "s"),
        )
        assert again.exit_code == 0 and json.loads((tmp_path / "n.json").read_text())["rows"] == [rows["agreement"]]
    assert len(list((tmp_path / "s/evaluate").rglob("*.npz"))) == 1
    assert paramrel("table", "--config", str(tiny_params), "--runs", str(tmp_path / "runs")).exit_code == 2


def test_anybodys_codes_are_measured_without_a_model(codes, tmp_path):
    done = paramrel(
        "evaluate", str(codes), "--metric", "auroc", "--metric", "accuracy", "--out", str(tmp_path / "o.json")
    )
    assert done.exit_code == 0 and "auroc" in done.stdout
    result = json.loads((tmp_path / "o.json").read_text())
    assert [row["metric"] for row in result["rows"]] == ["auroc", "accuracy"]
    assert result["blas"] and set(result["code"]) == {"commit", "dirty"}
    assert result["rows"][0]["metric_version"] == 1 and result["libraries"]["scikit-learn"]
    assert len(result["input_sha256"]) == 64
    every = paramrel("evaluate", str(codes), "--out", str(tmp_path / "all.json"))
    assert every.exit_code == 0 and "accuracy" in every.stdout, "without --metric: all that apply"


def test_names_of_label_columns_are_kept_and_checked(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (60, 2))
    for names, exit_code in ((["smiling", "hat"], 0), (["smiling"], 2)):
        np.savez(tmp_path / "codes.npz", z=rng.normal(size=(60, 3)), y=y, y_names=np.array(names))
        done = paramrel("evaluate", str(tmp_path / "codes.npz"), "--metric", "auroc", "--out", str(tmp_path / "o.json"))
        assert done.exit_code == exit_code
    assert "y has 2 column(s) but y_names has 1" in done.stderr
    assert json.loads((tmp_path / "o.json").read_text())["y_names"] == ["smiling", "hat"]


@pytest.fixture
def factors(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    y, attributes = rng.integers(0, 3, (150, 2)), rng.integers(0, 2, (150, 2))
    z = rng.normal(size=(150, 4)) + np.concatenate((y, 2 * attributes), 1)
    np.savez(tmp_path / "factors.npz", z=z, y=y, attributes=attributes, attribute_names=np.array(["hat", "smile"]))
    return tmp_path / "factors.npz"


def read(path: Path) -> dict[str, dict]:
    return {row["metric"]: row for row in json.loads(path.read_text())["rows"]}


def test_disentanglement_of_anybodys_codes_with_options_and_processes(factors, tmp_path):
    named = ("--metric", "auroc", "--metric", "accuracy", "--metric", "dci", "--metric", "tad", "--metric", "attrs")
    options = ("--option", "dci.n_trees=10", "--option", "dci.n_folds=2")
    for jobs in ("1", "2"):
        done = paramrel(
            "evaluate", str(factors), *named, *options, "--jobs", jobs, "--out", str(tmp_path / f"{jobs}.json")
        )
        assert done.exit_code == 0 and "n_trees = 10; n_folds = 2" in done.stdout, done.output
    assert (tmp_path / "1.json").read_text() == (tmp_path / "2.json").read_text()
    rows = read(tmp_path / "1.json")
    assert np.array(rows["dci"]["extra"]["importance"]).shape == (4, 2) and len(rows["dci"]["folds"]) == 2
    assert rows["dci"]["options"] == {"n_trees": 10, "n_folds": 2, "n_items": None, "max_latents": 512}
    assert [one["name"] for one in rows["tad"]["extra"]["attributes"]] == ["hat", "smile"]
    assert rows["attrs"]["value"] == 2 and rows["tad"]["value"] > 0.5
    for row in rows.values():
        assert (
            row["n"] == 150
            and row["metric_version"] == metric(row["metric"]).version
            and row["libraries"]["scikit-learn"]
        )
    bad = ("evaluate", str(factors), "--metric", "dci", "--out", str(tmp_path / "o.json"), "--option")
    assert_one_line_error(paramrel(*bad, "dci.trees=3"), "unknown option of dci 'trees': did you mean 'n_trees'")
    assert_one_line_error(paramrel(*bad, "trees=3"), "must look like dci.n_trees=40")


def test_the_seed_decides_the_folds(codes, tmp_path):
    for seed in ("0", "1"):
        args = ("--metric", "auroc", "--seed", seed, "--out", str(tmp_path / f"{seed}.json"))
        assert paramrel("evaluate", str(codes), *args).exit_code == 0
    assert read(tmp_path / "0.json")["auroc"]["folds"] != read(tmp_path / "1.json")["auroc"]["folds"]


def test_what_is_not_defined_on_a_file_has_a_reason(codes, tmp_path):
    out = tmp_path / "o.json"
    done = paramrel("evaluate", str(codes), "--metric", "auroc", "--metric", "dci", "--metric", "kl", "--out", str(out))
    assert done.exit_code == 0 and "DCI needs at least two factors that vary, y has 1" in done.stdout
    rows = read(out)
    assert rows["dci"]["value"] is None and rows["kl"]["note"] == "the file has no array z_std"
    assert paramrel("evaluate", str(codes), "--out", str(out)).exit_code == 0
    assert "accuracy_knn" not in read(out) and read(out)["psnr"]["value"] is None, "only by name; and with a reason"


def test_the_control_measures_label_metrics_on_shuffled_labels(codes, tmp_path):
    args = ("--metric", "auroc", "--metric", "kl", "--shuffle-labels", "--out", str(tmp_path / "o.json"))
    assert paramrel("evaluate", str(codes), *args).exit_code == 0
    assert set(read(tmp_path / "o.json")) == {"auroc"}, "kl reads no label"
    assert abs(read(tmp_path / "o.json")["auroc"]["value"] - 0.5) < 0.2
    assert json.loads((tmp_path / "o.json").read_text())["labels"] == "shuffled"


def test_evaluate_names_what_is_wrong(codes, tmp_path):
    out = ("--out", str(tmp_path / "out/o.json"))
    assert_one_line_error(paramrel("evaluate", str(codes), "--metric", "auc", *out), "did you mean 'auroc'")
    assert_one_line_error(paramrel("evaluate", "none.npz", *out), "none.npz does not exist")
    assert_one_line_error(paramrel("evaluate", str(codes), "--metric", "kl", *out), "needs the array(s) z_std")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not really")
    assert_one_line_error(paramrel("evaluate", str(tmp_path / "bad.npz"), *out), "bad.npz is no readable .npz")
    np.savez(tmp_path / "nan.npz", z=np.full((20, 2), np.nan), y=np.arange(20) % 2)
    assert_one_line_error(paramrel("evaluate", str(tmp_path / "nan.npz"), "--metric", "auroc", *out), "z has 40 NaN")
    np.savez(tmp_path / "objects.npz", z=np.array([{"a": 1}], dtype=object), y=np.zeros(1))
    assert_one_line_error(paramrel("evaluate", str(tmp_path / "objects.npz"), *out), "z holds Python objects")
    named = ("evaluate", str(codes), "--metric", "auroc")
    assert_one_line_error(paramrel(*named, "--out", str(tmp_path)), "name a file in a writable folder")
    assert_one_line_error(paramrel(*named, "--out", str(tmp_path / "nan.npz/o.json")), "name a file in a writable")
    assert_one_line_error(paramrel(*named, "--out", str(codes)), "is the file of codes")
    assert_one_line_error(paramrel(*named, *out, "--option", "dci.n_trees=[1"), "'[1' is no number, word or list")
    good = np.load(codes)
    for y, says in (
        (good["y"][:-1], "metric auroc: y must be (N,) or (N, k) with N = 100 as other arrays; its shape is (99,)"),
        (np.arange(100) / 7, "label column 0 has 100 different values for 100 items"),
        (np.arange(100) < 3, "class 1 has 3 of 100 items, fewer than the 5 folds"),
        (np.full(100, np.datetime64("2020-01-01")), "y holds datetime64[D], not numbers or words"),
    ):
        np.savez(tmp_path / "y.npz", z=good["z"], y=y)
        assert_one_line_error(paramrel("evaluate", str(tmp_path / "y.npz"), "--metric", "auroc", *out), says)
    assert not (tmp_path / "out").exists()


def test_unknown_names_and_bad_configuration(tiny_params, tmp_path):
    base = ("train", "--config", str(tiny_params), "--runs", str(tmp_path / "runs"), "--state", str(tmp_path / "state"))
    assert_one_line_error(paramrel(*base, "--dataset", "digits_binarized", "--method", "vea"), "did you mean 'vae'")
    assert_one_line_error(
        paramrel(*base, "--dataset", "digit_binarized", "--method", "vae"), "did you mean 'digits_binarized'"
    )
    done = paramrel(*base, "--dataset", "digits_binarized", "--method", "paramrel_d", "--variant", "aheed")
    assert_one_line_error(done, "did you mean 'ahead'")
    assert_one_line_error(paramrel("check-config", "--preset", "quik"), "did you mean 'quick'")
    assert not (tmp_path / "runs").exists()


TOY = """
from paramrel.method import Codes, Untrained

class Toy(Untrained):
    name = "toy"
    title = "toy"
    source = "this test"

    def encode(self, x):
        return Codes(x.flatten(1)[:, :3])
"""


def test_any_member_is_trained_and_encoded_with_the_settings_of_the_preset(tiny_params, tmp_path):
    (tmp_path / "toy.py").write_text(TOY)
    plugin = {"PARAMREL_PLUGINS": str(tmp_path / "toy.py")}
    cell = (
        "--dataset",
        "digits",
        "--method",
        "toy",
        "--config",
        str(tiny_params),
        "--runs",
        str(tmp_path / "runs"),
        "--state",
        str(tmp_path / "state"),
    )
    assert_one_line_error(paramrel("train", *cell), "unknown method 'toy'")
    assert paramrel("train", *cell, **plugin).exit_code == 0
    done = paramrel("encode", *cell, **plugin)
    with np.load(done.stdout.strip()) as arrays:
        assert arrays["z"].shape == (1797, 3)
    assert "toy                      toy: variants default; this test" in paramrel("list", "methods", **plugin).stdout


def test_a_broken_member_stops_only_what_needs_it(codes, tiny_params, tmp_path):
    (tmp_path / "zz.py").write_text("import nothere\n")
    plugin = {"PARAMREL_PLUGINS": str(tmp_path / "zz.py")}
    named = ("evaluate", str(codes), "--out", str(tmp_path / "o.json"), "--metric")
    says = f"{tmp_path}/zz.py: cannot be imported (ModuleNotFoundError: No module named 'nothere')"
    assert paramrel(*named, "auroc", **plugin).exit_code == 0
    assert_one_line_error(paramrel(*named, "zz", **plugin), says)
    for what in ("methods", "datasets", "metrics"):
        listed = paramrel("list", what, **plugin)
        assert listed.exit_code == 0 and f"broken: {says}" in listed.stdout and not listed.stderr
    cell = ("train", "--dataset", "digits", "--config", str(tiny_params), "--dry-run", "--method")
    assert paramrel(*cell, "vae", **plugin).exit_code == 0
    assert_one_line_error(paramrel(*cell, "zz", **plugin), says)


WRONG_SIZE = """
import numpy as np
from paramrel.data.digits import Digits, Labelled

class Enlarged(Digits):
    name = "digits_enlarged"

    def load(self, split):
        return Labelled(np.zeros((9, 1, 16, 16), np.uint8), np.arange(9))

class Renamed(Digits):
    name = "digits_renamed"
    kind = "discret"
"""


def test_data_sets_that_are_not_as_declared_are_named_and_the_others_listed(tiny_params, tmp_path):
    (tmp_path / "wrong.py").write_text(WRONG_SIZE)
    plugin = {"PARAMREL_PLUGINS": str(tmp_path / "wrong.py")}
    says = "digits_enlarged: images are (1, 16, 16), not of the declared shape (1, 8, 8) (C, H, W)"
    listed = paramrel("data", "list", **plugin).stdout
    assert f"digits_enlarged          broken: {says}" in listed and "\ndigits_binarized         ready" in listed
    assert f"digits_renamed           broken: {tmp_path}/wrong.py: class Renamed: kind: Input should be" in listed
    cell = ("train", "--method", "pca", "--config", str(tiny_params), "--runs", str(tmp_path), "--dataset")
    assert_one_line_error(paramrel(*cell, "digits_enlarged", **plugin), says)
    assert_one_line_error(paramrel(*cell, "digits_renamed", **plugin), "class Renamed: kind")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"per_method": {"vae": {"config": {"kl_warmpu": 1}}}}, "did you mean 'kl_warmup'"),
        ({"methods": ["pca"], "per_method": {"vae": {"config": {"kl_warmpu": 1}}}}, "did you mean 'kl_warmup'"),
        ({"network": TINY_PRESET["network"] | {"groups": 3}}, "groups=3 does not divide"),
        ({"network": TINY_PRESET["network"] | {"unshuffle": 3}}, "unshuffle=3 does not divide"),
        ({"train": {"batch_size": 2000}}, "batch_size 2000 is more than the 1428 training images"),
    ],
)
def test_check_config_refuses_what_train_refuses(tmp_path, changes, says):
    preset = TINY_PRESET | {"methods": ["vae", "pca"]} | changes
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"preset": "t", "presets": {"t": preset}}))
    named = ("--config", str(tmp_path / "p.yaml"))
    assert_one_line_error(paramrel("check-config", *named), says)
    folders = ("--runs", str(tmp_path / "runs"), "--state", str(tmp_path / "state"))
    train = paramrel("train", "--dataset", "digits_binarized", "--method", "vae", *named, *folders)
    assert_one_line_error(train, says)


def test_check_config_prints_every_field_and_needs_no_files(tmp_path):
    preset = TINY_PRESET | {"methods": ["vae", "pca", "paramrel_c"], "datasets": ["digits", "mnist_binarized"]}
    preset |= {"train": {"epochs": 2, "batch_size": 100}}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"preset": "t", "presets": {"t": preset}}))
    done = paramrel(
        "check-config", "--config", str(tmp_path / "p.yaml"), PARAMREL_DATA="", PARAMREL_CACHE=str(tmp_path)
    )
    assert done.exit_code == 0 and done.stderr.count("\n") == 1 and "PARAMREL_DATA is not set" in done.stderr
    shown = json.loads(done.stdout)["t"]
    vae = shown["cells"]["mnist_binarized/vae-default"]
    assert vae["network"] == Network(**TINY_PRESET["network"]).model_dump(mode="json")
    assert vae["train"] == Train(steps=1200, batch_size=100).model_dump(mode="json")
    assert vae["config"] == method("vae").Config().model_dump(mode="json")
    assert shown["cells"]["digits/pca-default"]["train"] is None
    assert shown["skipped"] == {"mnist_binarized/paramrel_c": "binary images: paramrel_d"}
    assert shown["runtime"] == Runtime(**TINY_PRESET["runtime"]).model_dump(mode="json")
    assert shown["evaluate"]["options"]["dci"]["n_trees"] == 100 and "auroc" in shown["evaluate"]["metrics"]


def test_missing_data_are_named(tmp_path):
    done = paramrel(
        "train",
        "--preset",
        "small",
        "--dataset",
        "mnist_binarized",
        "--method",
        "pca",
        "--runs",
        str(tmp_path / "runs"),
        PARAMREL_DATA="",
        PARAMREL_CACHE=str(tmp_path),
    )
    assert_one_line_error(done, "PARAMREL_DATA is not set", "torchvision's layout")


def train_into(runs: Path, tiny_params: Path, state: Path) -> Result:
    return paramrel(
        "train",
        "--dataset",
        "digits_binarized",
        "--method",
        "paramrel_d",
        "--config",
        str(tiny_params),
        "--runs",
        str(runs),
        "--state",
        str(state),
    )


def test_a_folder_that_is_none_is_named_and_nothing_is_trained(tiny_params, tmp_path):
    (tmp_path / "runs").write_text("a file")
    assert_one_line_error(
        train_into(tmp_path / "runs", tiny_params, tmp_path / "state"), "cannot write", "writable folder"
    )
    assert not (tmp_path / "state/digits_binarized").exists()


@pytest.fixture
def mount(tmp_path: Path):
    """Mounts a small file system of its own; skips where that is not allowed."""
    mounted: list[Path] = []

    def make(name: str, options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        if (
            os.geteuid()
            or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True).returncode
        ):
            pytest.skip("mounting a small file system needs root")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


def test_a_read_only_folder_is_named(tiny_params, tmp_path, mount):
    folder = mount("readonly", "ro,size=1m")
    assert_one_line_error(train_into(folder / "runs", tiny_params, tmp_path / "state"), "cannot write", "Read-only")


@pytest.mark.parametrize("kib", [40, 68])
def test_a_full_folder_is_named_and_leaves_nothing_half_written(tiny_params, tmp_path, mount, kib):
    folder = mount("full", f"size={kib}k")
    done = train_into(folder / "runs", tiny_params, tmp_path / "state")
    assert done.exit_code == 2 and "No space left" in done.stderr, done.stderr
    assert not [path for path in folder.rglob("*") if path.is_file()]
