"""Files of strangers: read array by array, no more than they can hold, and nothing in them is executed."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from metrics import keep_in, metric
from metrics._cache import key_of
from paramrel.errors import UserError
from suite.measure import npz
from suite.measure.evaluate import evaluate, read_codes
from suite.measure.npz import read_npz
from tests.test_agreement import classes

RNG = np.random.default_rng(0)


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/paramrel-metrics-were-here",)


@pytest.fixture(autouse=True)
def nothing_is_executed():
    Path("/tmp/paramrel-metrics-were-here").unlink(missing_ok=True)
    yield
    assert not Path("/tmp/paramrel-metrics-were-here").exists()


def sound() -> dict[str, np.ndarray]:
    y = np.arange(60) % 2
    return {"z": RNG.normal(size=(60, 3)) + y[:, None], "y": y}


def test_an_object_array_costs_what_reads_it_and_no_more(tmp_path):
    np.savez(
        tmp_path / "c.npz", **sound(), index=np.array([Evil()] * 60), attributes=np.array(["a"] * 60, dtype=object)
    )
    rows = {row["metric"]: row for row in evaluate(tmp_path / "c.npz", ("auroc", "tad"), 0)["rows"]}
    assert rows["auroc"]["value"] is not None
    assert rows["tad"]["value"] is not None, "attributes cannot be read, and y has two classes"
    np.savez(tmp_path / "d.npz", z=sound()["z"], y=np.array(["a", "b"] * 30, dtype=object), z_std=np.ones((60, 3)))
    rows = {row["metric"]: row for row in evaluate(tmp_path / "d.npz", ("auroc", "kl"), 0)["rows"]}
    assert "y holds Python objects" in rows["auroc"]["note"] and "y.astype(str)" in rows["auroc"]["note"]
    assert rows["kl"]["value"] is not None
    with pytest.raises(UserError, match="index holds Python objects"):
        read_codes(tmp_path / "c.npz")


def test_arrays_that_no_metric_reads_are_not_unpacked(tmp_path, monkeypatch):
    np.savez(tmp_path / "c.npz", **sound(), huge=np.zeros(10))
    read, seen = npz._array, []
    monkeypatch.setattr(
        npz, "_array", lambda file, member, name, left: (seen.append(name), read(file, member, name, left))[1]
    )
    evaluate(tmp_path / "c.npz", ("auroc",), 0)
    assert set(seen) == {"z", "y"}


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_before_it_does(tmp_path, monkeypatch):
    """Two GB of zeros: only the header says so, as writing them would take the time that the test is about."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (500, 1, 1000, 1000)}
    )
    np.savez_compressed(tmp_path / "c.npz", **sound())
    with zipfile.ZipFile(tmp_path / "c.npz", "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x_test.npy", header.getvalue() + bytes(1 << 20))
        file.writestr("reconstructed.npy", header.getvalue() + bytes(1 << 20))
    rows = {row["metric"]: row for row in evaluate(tmp_path / "c.npz", ("auroc", "mse"), 0)["rows"]}
    assert rows["auroc"]["value"] is not None
    assert "unpacks to 2.00 GB of (500, 1, 1000, 1000), far more than a file" in rows["mse"]["note"]


def test_the_limit_grows_with_the_file_and_counts_all_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "ALWAYS", 1000)
    np.savez(tmp_path / "c.npz", a=RNG.random(10_000), b=RNG.random(10_000))
    assert read_npz(tmp_path / "c.npz", ("a", "b"))[1] == {}, "what is not packed is never too much"
    np.savez_compressed(tmp_path / "d.npz", a=np.zeros(5_000), b=np.zeros(10_000))
    arrays, reasons = read_npz(tmp_path / "d.npz", ("a", "b"))
    assert set(arrays) == {"a"} and set(reasons) == {"b"}


@pytest.mark.parametrize("damage", ["flip", "truncate", "no array", "other version"])
def test_a_damaged_array_is_named(tmp_path, damage):
    np.savez(tmp_path / "c.npz", **sound(), z_std=np.ones((60, 3)))
    with zipfile.ZipFile(tmp_path / "c.npz") as file:
        members = {name: file.read(name) for name in file.namelist()}
    raw = members["z_std.npy"]
    changed = {"flip": raw, "truncate": raw[:-8], "no array": b"hello", "other version": raw[:6] + b"\x03" + raw[7:]}[
        damage
    ]
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as file:
        for name, content in (members | {"z_std.npy": changed}).items():
            file.writestr(name, content)
    if damage == "flip":
        content = (tmp_path / "c.npz").read_bytes()
        at = content.index(raw) + len(raw) - 4
        (tmp_path / "c.npz").write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    rows = {row["metric"]: row for row in evaluate(tmp_path / "c.npz", ("auroc", "kl"), 0)["rows"]}
    assert rows["auroc"]["value"] is not None and rows["kl"]["note"].startswith("z_std is damaged or no plain array")
    assert "\n" not in rows["kl"]["note"]


def test_a_pickle_in_the_folder_of_kept_fits_is_never_loaded(tmp_path):
    arrays = classes()
    with keep_in(tmp_path):
        value = metric("agreement")(arrays)
        (kept,) = tmp_path.glob("*.npz")
        good = dict(np.load(kept, allow_pickle=False))
        kept.write_bytes(pickle.dumps(Evil()))
        assert metric("agreement")(arrays) == value
        np.savez(kept, **(good | {"coef": np.array([Evil()], dtype=object)}))
        assert metric("agreement")(arrays) == value
        assert {name: array.tolist() for name, array in np.load(kept).items()} == {
            name: array.tolist() for name, array in good.items()
        }
        assert not list(tmp_path.rglob("*.pkl"))


def test_keys_tell_arrays_apart_by_values_types_and_shapes_and_not_by_memory():
    a = np.arange(6.0).reshape(2, 3)
    others = [a.T.copy(), a.astype(np.float32), a + 1, a.ravel(), "a", 1]
    assert key_of((a,)) == key_of((np.asfortranarray(a),)) and key_of((a, 1)) != key_of((1, a))
    assert len({key_of((one,)) for one in (a, *others)}) == 7
