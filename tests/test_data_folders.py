"""Folders of data as people have them: nothing stale is taken, and what cannot be right is refused."""

import gzip
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paramrel.data import _prepared
from paramrel.data._idx import idx_forms
from paramrel.data.celeba import ATTRIBUTES, CelebA, CelebASubset
from paramrel.errors import UserError
from tests.test_prepare import FakeIdx, faces, fake, md5, root, sheets, use_digests, write_idx, write_sums

__all__ = ["faces", "fake", "root", "sheets"]  # fixtures

ONLY_FOLDER = "celeba/img_align_celeba.zip"


def paint(path: Path, colour: int) -> None:
    Image.fromarray(np.full((218, 178, 3), colour, np.uint8)).save(path, quality=95, subsampling=0)


def swap(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


CHANGES = {
    "images": lambda root: paint(root / "celeba/img_align_celeba/000001.jpg", 77),
    "labels": lambda root: swap(root / "celeba/list_attr_celeba.txt", "000001.jpg 1", "000001.jpg -1"),
    "partition": lambda root: swap(root / "celeba/list_eval_partition.txt", "000001.jpg 0", "000001.jpg 2"),
}


@pytest.mark.parametrize("cls", [CelebASubset, CelebA])
@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("where", ["the same folder", "another folder"])
def test_other_content_under_the_same_names_is_another_set(root, faces, monkeypatch, cls, what, where):
    (root / ONLY_FOLDER).unlink()
    attributes = root / "celeba/list_attr_celeba.txt"
    lines = attributes.read_text().splitlines()
    attributes.write_text("\n".join([*lines[:2], "000001.jpg" + " 1" * 40, *lines[3:], ""]))
    use_digests(root, monkeypatch)
    data = cls()
    before, labels = data.fingerprint(), data.load("train").labels
    folder = root
    if where == "another folder":
        folder = root.parent / "other"
        shutil.copytree(root, folder)
        monkeypatch.setenv("PARAMREL_DATA", str(folder))
        assert data.fingerprint() == before, "the same content is the same set, wherever it lies"
    CHANGES[what](folder)
    use_digests(folder, monkeypatch)
    monkeypatch.setattr(CelebA, "counts", {"train": 28 - (what == "partition"), "test": 8 + (what == "partition")})
    assert data.fingerprint() != before
    for split in ("train", "test"):
        assert len(data.load(split).images) == len(data.load(split).labels) == data.size(split)
    if what == "labels":
        assert (data.load("train").labels != labels).sum() == 1


@pytest.mark.parametrize("what", ["images", "labels"])
def test_other_sheets_under_the_same_names_are_another_set(root, sheets, what):
    data = CelebASubset()
    before = data.fingerprint()
    if what == "labels":
        meta = {key: value for key, value in sheets.items() if key != "colours"}
        np.savez(root / "CelebA64/celeba64_meta.npz", **(meta | {"attr": 1 - meta["attr"]}))
    else:
        sheet = root / "CelebA64/sheets/sheet_01.jpg"
        Image.fromarray(255 - np.asarray(Image.open(sheet))).save(sheet, quality=94, subsampling=0)
    with pytest.raises(UserError, match="damaged or another file"):
        data.load("train")  # the checksums are still those of the others
    write_sums(root)
    assert data.fingerprint() != before


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_subset_without_a_split_is_refused_early(root, faces, split):
    (root / ONLY_FOLDER).unlink()
    for k in np.flatnonzero(faces["partition"] == {"train": 0, "test": 2}[split]):
        (root / f"celeba/img_align_celeba/{k + 1:06d}.jpg").unlink()
    for ask in (CelebASubset().check_available, CelebASubset().prepare, lambda: CelebASubset().load("train")):
        with pytest.raises(
            UserError, match=f"none of the [0-9]+ images in the folder of aligned images belongs to the {split}"
        ):
            ask()
    assert CelebASubset().state() == "missing"


def test_no_images_at_all_are_refused(fake, monkeypatch):
    monkeypatch.setattr(FakeIdx, "counts", {"train": 4, "test": 0})
    with pytest.raises(UserError, match="there is no test image in the gzipped idx files"):
        fake.prepare()


def test_duplicate_names_are_refused(root, faces, sheets, monkeypatch):
    with zipfile.ZipFile(root / ONLY_FOLDER, "a") as archive:
        archive.write(root / "celeba/img_align_celeba/000002.jpg", "again/000002.jpg")
    use_digests(root, monkeypatch)
    with pytest.raises(UserError, match="img_align_celeba.zip has 000002.jpg 2 times: every image needs a name"):
        CelebA().prepare()
    names = sheets["filenames"].copy()
    names[7] = names[6]
    meta = {key: value for key, value in sheets.items() if key != "colours"}
    np.savez(root / "CelebA64/celeba64_meta.npz", **(meta | {"filenames": names}))
    write_sums(root)
    with pytest.raises(UserError, match="celeba64_meta.npz has 000006.jpg 2 times"):
        CelebASubset().check_available()
    (root / ONLY_FOLDER).unlink()
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt"):
        swap(root / "celeba" / name, "000009.jpg", "000008.jpg")
    use_digests(root, monkeypatch)
    with pytest.raises(UserError, match=r"list_attr_celeba.txt has 000008.jpg 2 times"):
        CelebA().prepare()


def test_a_damaged_packed_file_beside_good_unpacked_ones(root, monkeypatch):
    packed = write_idx(root)
    unpacked = [path.with_suffix("") for path in packed]
    for path, raw in zip(packed, unpacked, strict=True):
        raw.write_bytes(gzip.decompress(path.read_bytes()))
    monkeypatch.setattr(FakeIdx, "forms", idx_forms("Fake", (), tuple(map(md5, packed)), tuple(map(md5, unpacked))))
    data = FakeIdx()
    card = data.prepare()
    assert card["form"] == "gzipped idx files" and "passed_over" not in card, "the first form where both are right"
    packed[0].write_bytes(b"damaged")
    other = data.prepare(force=True)
    assert other["form"] == "idx files" and other["fingerprint"] == card["fingerprint"]
    assert "train-images-idx3-ubyte.gz is damaged or another file" in other["passed_over"][0]
    unpacked[1].write_bytes(b"damaged")
    with pytest.raises(UserError, match="train-images-idx3-ubyte.gz is damaged or another file"):
        data.prepare(force=True)


def test_of_a_zip_and_a_folder_the_zip_is_meant_and_a_damaged_one_is_an_error(root, faces):
    data = CelebA()
    assert data.prepare()["form"] == "zip of aligned images"
    paint(root / "celeba/img_align_celeba/000001.jpg", 77)
    before = data.fingerprint()
    assert data.prepare(force=True)["fingerprint"] == before, "the folder is not read"
    (root / ONLY_FOLDER).write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"img_align_celeba.zip is damaged or another file"):
        data.prepare(force=True)
    assert data.fingerprint() == before, "a folder without official checksums does not stand in for it"


def test_a_home_in_the_cache_folder_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PARAMREL_CACHE", "~/cache")
    assert _prepared.cache_root() == tmp_path / "cache"
    monkeypatch.delenv("PARAMREL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/xdg")
    assert _prepared.cache_root() == tmp_path / "xdg/paramrel"


@pytest.mark.parametrize("labels", [np.array([0.2, 0.9, 0.4, 0.7]), np.array([0.0, 1.0, np.nan, 1.0])])
def test_soft_labels_are_not_truncated(fake, monkeypatch, labels):
    images = np.zeros((4, 1, 28, 28), np.uint8)
    monkeypatch.setattr(FakeIdx, "read", lambda *_: iter([("train", images, labels), ("test", images, labels)]))
    with pytest.raises(UserError, match="labels are float64, not whole numbers"):
        fake.prepare()


def test_the_attributes_are_the_official_ones():
    assert len(set(ATTRIBUTES)) == 40
