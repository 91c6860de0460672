"""Contract of every registered data set, and clear errors for missing and damaged files."""

import gzip
import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from paramrel.data import Arrays, dataset, datasets
from paramrel.data._base import hashed_split
from paramrel.data._idx import IdxDataSet, parse_idx
from paramrel.errors import UserError
from paramrel.rng import Rng


def available(name: str):
    data = dataset(name)
    try:
        data.check_available()
    except UserError as error:
        pytest.skip(str(error))
    return data


@pytest.mark.parametrize("name", sorted(datasets()))
class TestContract:
    def test_declares_itself(self, name):
        cls = datasets()[name]
        assert cls.name == name and cls.title and cls.source and cls.licence and cls.version >= 1
        assert len(cls.shape) == 3 and 1 <= cls.levels <= 255 and len(cls.class_names) > 1

    def test_arrays_are_as_declared(self, name):
        data = available(name)
        for split in ("train", "test"):
            arrays = data.load(split)
            assert arrays.images.shape[1:] == data.shape and arrays.images.max() == data.levels
            assert arrays.labels.dtype == np.int64
            assert set(np.unique(arrays.labels)) == set(range(len(data.class_names)))

    def test_evaluation_images_are_fixed_and_in_range(self, name):
        data = available(name)
        images, labels = data.evaluation_images("test")
        again, _ = data.evaluation_images("test")
        assert np.array_equal(images, again) and len(images) == len(labels)
        assert images.min() >= 0 and images.max() <= 1
        assert not data.binary or set(np.unique(images)) == {0, 1}


def test_digits_are_scikit_learns_split_by_hash_without_overlap():
    from sklearn.datasets import load_digits

    data = dataset("digits")
    train, test = data.load("train"), data.load("test")
    assert len(train.labels) + len(test.labels) == 1797 and 0.17 < len(test.labels) / 1797 < 0.23
    everything = np.concatenate((train.images, test.images)).reshape(1797, 64)
    theirs = load_digits().data.astype(np.uint8)
    assert sorted(map(bytes, everything)) == sorted(map(bytes, theirs))


def test_splits_are_a_rule_that_never_changes():
    assert np.flatnonzero(hashed_split("digits", 40, 0.2)).tolist() == [0, 1, 2, 3, 6, 8, 9, 12, 14, 26, 31]


def test_dynamic_binarisation_follows_grey_values_and_the_stream():
    data = dataset("mnist_binarized")
    grey = torch.full((4000, 1, 2, 2), 51, dtype=torch.uint8)
    drawn = data.to_model(grey, Rng((0,)))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert drawn.mean().item() == pytest.approx(0.2, abs=0.01)
    assert torch.equal(drawn, data.to_model(grey, Rng((0,)))) and not torch.equal(drawn, data.to_model(grey, Rng((1,))))


@pytest.mark.parametrize("name", ["mnist_binarized", "fashionmnist_binarized"])
def test_real_files_are_the_official_bytes(name):
    data = available(name)
    assert len(data.load("train").labels) == 60_000 and len(data.load("test").labels) == 10_000


class FakeIdx(IdxDataSet):
    """Four images in idx files, to be damaged."""

    name, title, source, licence, folder, class_names = "fake", "fake", "the moon", "none", "Fake", ("a", "b")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch) -> FakeIdx:
    raw = tmp_path / "Fake/raw"
    raw.mkdir(parents=True)
    md5 = {}
    for prefix in ("train", "t10k"):
        images = b"\x00\x00\x08\x03" + np.array([4, 28, 28], ">u4").tobytes() + bytes(4 * 784)
        labels = b"\x00\x00\x08\x01" + np.array([4], ">u4").tobytes() + bytes([0, 1, 0, 1])
        for kind, content in (("images-idx3", images), ("labels-idx1", labels)):
            path = raw / f"{prefix}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(content, mtime=0))
            md5[path.name] = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setattr(FakeIdx, "md5", md5, raising=False)
    monkeypatch.setenv("PARAMREL_DATA", str(tmp_path))
    return FakeIdx()


def test_idx_files_are_read(fake):
    assert fake.load("train").images.shape == (4, 1, 28, 28) and fake.load("test").labels.tolist() == [0, 1, 0, 1]


def test_a_missing_folder_variable_or_file_names_the_way_out(fake, tmp_path, monkeypatch):
    (tmp_path / "Fake/raw/t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UserError, match=r"t10k-labels.* is missing: get the four .gz files of the moon"):
        fake.check_available()
    monkeypatch.setenv("PARAMREL_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="is no folder"):
        fake.check_available()
    monkeypatch.delenv("PARAMREL_DATA")
    with pytest.raises(UserError, match="PARAMREL_DATA is not set"):
        fake.check_available()


@pytest.mark.parametrize("damage", ["truncate", "flip"])
def test_damaged_files_are_named(fake, tmp_path, damage):
    path = tmp_path / "Fake/raw/train-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        content = content[:-10]
    else:
        content[20] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte.gz is damaged \(MD5 .* expected"):
        fake.load("train")


def test_an_idx_header_that_lies_is_an_error():
    with pytest.raises(UserError, match="holds 3 values where its header says"):
        parse_idx(b"\x00\x00\x08\x01" + np.array([4], ">u4").tobytes() + bytes(3), "f")
    with pytest.raises(UserError, match="no idx file"):
        parse_idx(b"hello", "f")


def test_labels_that_do_not_match_are_an_error():
    with pytest.raises(UserError, match="3 images but 2 labels"):
        Arrays(np.zeros((3, 1, 2, 2), np.uint8), np.zeros(2, np.int64))


def test_a_read_only_data_folder_will_do(fake, tmp_path):
    copy = tmp_path / "readonly"
    shutil.copytree(tmp_path / "Fake", copy / "Fake")
    os.environ["PARAMREL_DATA"] = str(copy)
    before = sorted(copy.rglob("*"))
    fake.load("train")
    assert sorted(copy.rglob("*")) == before
