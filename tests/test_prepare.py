"""Preparing data sets: every layout that is read, every kind of damage, and that the good state survives."""

import gzip
import hashlib
import io
import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paramrel.data import _prepared
from paramrel.data._downloads import File, Form
from paramrel.data._idx import IdxDataSet, idx_forms, parse_idx
from paramrel.data.celeba import ATTRIBUTES, CelebA, CelebAD2c, CelebASubset, CelebASubset32
from paramrel.data.cifar10 import BATCHES, Cifar10, Cifar10Jpeg, Cifar10Lossless5k, read_batch
from paramrel.errors import UserError
from tests.conftest import ROOT

RANDOM = np.random.default_rng(0)


@pytest.fixture
def root(tmp_path: Path, monkeypatch) -> Path:
    """An empty PARAMREL_DATA and PARAMREL_CACHE."""
    monkeypatch.setenv("PARAMREL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PARAMREL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def assert_nothing_half_written(root: Path) -> None:
    """Only locks may be left in the cache."""
    cache = root.parent / "cache"
    assert not cache.exists() or all(path.suffix == ".lock" for path in cache.iterdir())


# --- MNIST-like: idx files --------------------------------------------------------------------------------------------


class FakeIdx(IdxDataSet):
    """Four + four images in idx files, to be damaged."""

    name, title, source, licence, class_names = "fake", "fake", "the moon", "none", ("a", "b")
    by_hand = "the moon"
    counts = {"train": 4, "test": 4}


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_idx(root: Path, n_labels: int = 4, packed: bool = True) -> list[Path]:
    paths = []
    for prefix in ("train", "t10k"):
        images = RANDOM.integers(0, 256, (4, 28, 28)).astype(np.uint8)
        labels = np.array([0, 1, 0, 1, 0, 1], np.uint8)[:n_labels]
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            path = root / f"Fake/raw/{prefix}-{kind}-ubyte{'.gz' if packed else ''}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(idx(array), mtime=0) if packed else idx(array))
            paths.append(path)
    return paths


@pytest.fixture
def fake(root: Path, monkeypatch) -> FakeIdx:
    paths = write_idx(root)
    monkeypatch.setattr(FakeIdx, "forms", idx_forms("Fake", (), tuple(map(md5, paths)), ("0" * 32,) * 4))
    return FakeIdx()


def test_idx_files_are_prepared_once_and_the_files_are_not_needed_again(fake, root):
    card = fake.prepare()
    assert card["counts"] == {"train": 4, "test": 4} and len(card["inputs"]) == 4
    assert [i["official_digest"] for i in card["inputs"]] == [md5(root / i["path"]) for i in card["inputs"]]
    shutil.rmtree(root)
    arrays = fake.load("train")
    assert isinstance(arrays.images, np.memmap) and arrays.images.shape == (4, 1, 28, 28)
    assert arrays.labels.tolist() == [0, 1, 0, 1] and fake.fingerprint() == card["fingerprint"]
    assert fake.prepare() == card


@pytest.mark.parametrize("what", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("call", [1, 2])
def test_a_new_set_takes_the_place_of_the_old_one_or_the_old_one_stays(fake, root, monkeypatch, call, what):
    """Whichever rename does not come to pass, and whether a kill or an error is the cause."""
    card, rename, calls = fake.prepare(), Path.rename, []

    def failing(self, target):
        calls.append(target)
        if len(calls) == call:
            raise what("no rename")
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", failing)
        with pytest.raises((KeyboardInterrupt, UserError)):
            fake.prepare(force=True)
    shutil.rmtree(root)
    assert fake.prepare() == card and fake.fingerprint() == card["fingerprint"]
    assert not list(fake.folder.parent.glob(f".{fake.folder.name}.old"))


def test_unpacked_idx_files_will_do(fake, root, monkeypatch):
    packed = fake.load("train").images.copy()
    paths = [path.with_suffix("") for path in sorted(root.rglob("*.gz"), key=lambda p: ("t10k" in p.name, p.name))]
    for path in paths:
        path.write_bytes(gzip.decompress(path.with_name(path.name + ".gz").read_bytes()))
        path.with_name(path.name + ".gz").unlink()
    monkeypatch.setattr(FakeIdx, "forms", idx_forms("Fake", (), ("0" * 32,) * 4, tuple(map(md5, paths))))
    assert fake.prepare(force=True)["form"] == "idx files"
    assert np.array_equal(packed, fake.load("train").images)


def test_missing_files_are_named_with_the_way_out(fake, root, monkeypatch):
    (root / "Fake/raw/t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(
        UserError, match=r"t10k-labels-idx1-ubyte.gz missing below .*: get the files from the moon and put"
    ):
        fake.check_available()
    monkeypatch.setenv("PARAMREL_DATA", str(root / "nowhere"))
    with pytest.raises(UserError, match="is no folder"):
        fake.check_available()
    monkeypatch.delenv("PARAMREL_DATA")
    with pytest.raises(UserError, match="PARAMREL_DATA is not set"):
        fake.check_available()


@pytest.mark.parametrize("damage", ["truncate", "flip", "other"])
@pytest.mark.parametrize("prepared_before", [False, True])
def test_damaged_files_are_named_and_what_was_good_stays(fake, root, damage, prepared_before):
    if prepared_before:
        fake.prepare()
    good = snapshot(root.parent / "cache")
    path = root / "Fake/raw/train-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes({"truncate": path.read_bytes()[:-10], "flip": bytes(content), "other": b"hello"}[damage])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte.gz is damaged or another file \(MD5 .* expected"):
        fake.prepare(force=True)
    if prepared_before:
        assert snapshot(root.parent / "cache") == good and fake.fingerprint()
    else:
        assert_nothing_half_written(root)


def test_a_label_file_that_does_not_match_is_an_error(fake, root, monkeypatch):
    paths = write_idx(root, n_labels=3)
    monkeypatch.setattr(FakeIdx, "forms", idx_forms("Fake", (), tuple(map(md5, paths)), ("0" * 32,) * 4))
    with pytest.raises(UserError, match="4 images but 3 labels of the train split: the label file does not match"):
        fake.prepare()
    assert_nothing_half_written(root)


def test_labels_that_no_class_has_are_an_error(fake, root, monkeypatch):
    monkeypatch.setattr(FakeIdx, "class_names", ("only",))
    with pytest.raises(UserError, match="the label file does not match"):
        fake.prepare()


def test_too_few_images_are_an_error(fake, monkeypatch, root):
    monkeypatch.setattr(FakeIdx, "counts", {"train": 5, "test": 4})
    with pytest.raises(UserError, match="4 train images, not 5"):
        fake.prepare()
    assert_nothing_half_written(root)


def test_no_space_left_is_said_before_anything_is_written(fake, root, monkeypatch):
    fake.prepare()
    good = snapshot(root.parent / "cache")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 100))
    with pytest.raises(UserError, match="no space left: .* has 0.00 GB free"):
        fake.prepare(force=True)
    assert snapshot(root.parent / "cache") == good


def test_a_disk_that_fills_up_meanwhile_leaves_the_good_state(fake, root, monkeypatch):
    fake.prepare()
    good = snapshot(root.parent / "cache")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(
        UserError, match=r"No space left on device: name a writable folder with free space in PARAMREL_CACHE"
    ):
        fake.prepare(force=True)
    assert snapshot(root.parent / "cache") == good


def test_the_command_line_says_it_in_one_line_when_no_more_can_be_written(root):
    """A limit on the size of files stands in for a full disk: both come as an error of ``write``."""
    command = [sys.executable, "-m", "suite.commands.main", "data", "prepare", "shapes3d_rendered_16"]
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))  # noqa: E731
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, preexec_fn=limit)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 2 and last.startswith("error: cannot make") and "File too large" in last
    assert_nothing_half_written(root)


def test_leftovers_of_a_killed_preparation_do_not_matter(fake, root):
    leftover = root.parent / "cache/.fake-v1.partial"
    leftover.mkdir(parents=True)
    (leftover / "train-images.npy").write_bytes(b"half")
    fake.prepare()
    assert not leftover.exists() and fake.load("test").labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("what", ["train-images.npy", "card.json"])
def test_damaged_prepared_arrays_are_noticed(fake, root, what):
    fake.prepare()
    path = fake.folder / what
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"are damaged .*: run paramrel data prepare fake --force"):
        fake.fingerprint()
    path.write_bytes(bytes(content)[:-1])
    with pytest.raises(UserError, match=r"are damaged .*: run paramrel data prepare fake --force"):
        fake.load("train")
    fake.prepare(force=True)
    assert fake.fingerprint()


def test_read_only_data_will_do_and_nobody_writes_into_prepared_arrays(fake, root):
    before = snapshot(root)
    for path in (*root.rglob("*"), root):
        path.chmod(0o555 if path.is_dir() else 0o444)
    images = fake.load("train").images
    fingerprint = fake.fingerprint()
    images[:] = 0  # a private copy of the page
    assert fake.fingerprint() == fingerprint and fake.load("train").images.any() and snapshot(root) == before


def test_an_idx_header_that_lies_is_an_error():
    with pytest.raises(UserError, match="holds 3 values where its header says"):
        parse_idx(b"\x00\x00\x08\x01" + np.array([4], ">u4").tobytes() + bytes(3), "f")
    with pytest.raises(UserError, match="no idx file"):
        parse_idx(b"hello", "f")


# --- CIFAR-10 ---------------------------------------------------------------------------------------------------------


class OldNumpy(pickle._Pickler):
    """Pickles as Python 2's numpy did: the module was called numpy.core.multiarray."""

    def save_global(self, obj, name=None):
        if getattr(obj, "__name__", "") == "_reconstruct":
            self.write(b"cnumpy.core.multiarray\n_reconstruct\n")
        else:
            super().save_global(obj, name)

    dispatch = pickle._Pickler.dispatch | {type(np._core.multiarray._reconstruct): save_global}


def batch(n: int, n_labels: int | None = None) -> tuple[bytes, np.ndarray]:
    data = RANDOM.integers(0, 256, (n, 3072)).astype(np.uint8)
    out = io.BytesIO()
    OldNumpy(out, 2).dump({"data": data, "labels": [k % 10 for k in range(n if n_labels is None else n_labels)]})
    return out.getvalue(), data


@pytest.fixture
def cifar(root: Path, monkeypatch) -> np.ndarray:
    """Batches of ten images in place of 10,000; returns the pixels of the first."""
    contents = [batch(10) for _ in BATCHES]
    for file, (raw, _) in zip(BATCHES, contents, strict=True):
        path = root / file.path
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(raw)
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(root / "cifar-10-batches-py", "cifar-10-batches-py")
    files = tuple(File(file.path, md5(root / file.path)) for file in BATCHES)
    packed = File("cifar-10-python.tar.gz", md5(root / "cifar-10-python.tar.gz"))
    monkeypatch.setattr(Cifar10, "forms", (Form("batches", files), Form("archive", (packed,))))
    monkeypatch.setattr(Cifar10, "counts", {"train": 50, "test": 10})
    return contents[0][1]


def test_cifar_batches_and_archive_give_the_same(root, cifar):
    data = Cifar10()
    assert data.prepare()["form"] == "batches"
    images = data.load("train").images.copy()
    assert np.array_equal(images[:10].reshape(10, 3072), cifar)
    fingerprint = data.fingerprint()
    shutil.rmtree(root / "cifar-10-batches-py")
    assert data.prepare(force=True)["form"] == "archive" and data.fingerprint() == fingerprint


def test_another_archive_is_an_error_even_with_the_right_checksum(root, cifar, monkeypatch):
    shutil.rmtree(root / "cifar-10-batches-py")
    path = root / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(ROOT / "LICENSE", "LICENSE")
    with pytest.raises(UserError, match="damaged or another file"):
        Cifar10().prepare()
    monkeypatch.setattr(Cifar10, "forms", (Form("archive", (File(path.name, md5(path)),)),))
    with pytest.raises(UserError, match="is no archive of CIFAR-10"):
        Cifar10().prepare()
    assert_nothing_half_written(root)


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/paramrel-was-here",)


def test_pickled_code_is_not_executed(tmp_path):
    bad = pickle.dumps({"data": Evil(), "labels": []}, 2)
    with pytest.raises(UserError, match=r"is no batch of CIFAR-10 \(it asks for (posix|nt).system\)"):
        read_batch(bad, "data_batch_1")
    assert not Path("/tmp/paramrel-was-here").exists()
    with pytest.raises(UserError, match="is no batch"):
        read_batch(batch(3)[0][:-30], "data_batch_1")


def test_official_cifar_missing_names_the_relatives_that_are_there(root):
    (root / "CIFAR10").mkdir()
    (root / "CIFAR10/cifar10_jpeg60k.npz").write_bytes(b"x")
    with pytest.raises(UserError, match=r"test_batch|data_batch_1.*cifar10_jpeg are there: other pixels"):
        Cifar10().check_available()


def test_jpeg_and_lossless_parts_are_read(root, monkeypatch):
    pixels = np.repeat(np.repeat(RANDOM.integers(0, 256, (6, 2, 2, 3)), 16, 1), 16, 2).astype(np.uint8)
    jpegs = []
    for image in pixels:
        out = io.BytesIO()
        Image.fromarray(image).save(out, "JPEG", quality=95, subsampling=0)
        jpegs.append(out.getvalue())
    rest = {"labels": np.arange(6, dtype=np.uint8), "is_test": np.array([0, 0, 1, 0, 0, 1], np.uint8)}
    (root / "CIFAR10").mkdir()
    offsets = np.cumsum([0] + [len(j) for j in jpegs])
    np.savez(root / "CIFAR10/a.npz", jpeg=np.frombuffer(b"".join(jpegs), np.uint8), offsets=offsets, **rest)
    np.savez(root / "CIFAR10/b.npz", images=pixels, **rest)
    for cls, name in ((Cifar10Jpeg, "a"), (Cifar10Lossless5k, "b")):
        monkeypatch.setattr(cls, "forms", (Form("npz", (File(f"CIFAR10/{name}.npz"),)),))
        monkeypatch.setattr(cls, "counts", {"train": 4, "test": 2})
    assert Cifar10Jpeg.title == "CIFAR-10 (JPEG)" != Cifar10.title
    jpeg, lossless = Cifar10Jpeg().load("test"), Cifar10Lossless5k().load("test")
    assert np.array_equal(lossless.images, pixels[[2, 5]].transpose(0, 3, 1, 2)) and jpeg.labels.tolist() == [2, 5]
    assert np.abs(jpeg.images.astype(int) - lossless.images).mean() < 8
    np.savez(root / "CIFAR10/a.npz", jpeg=np.frombuffer(b"".join(jpegs)[:-400], np.uint8), offsets=offsets, **rest)
    with pytest.raises(UserError, match="image 5 is damaged or no image"):
        Cifar10Jpeg().prepare(force=True)


# --- CelebA -----------------------------------------------------------------------------------------------------------

N_FACES = 40


@pytest.fixture
def faces(root: Path, monkeypatch) -> dict[str, np.ndarray]:
    """Forty images of 178x218 with list files, as a folder and as a zip."""
    folder = root / "celeba/img_align_celeba"
    folder.mkdir(parents=True)
    names = [f"{k + 1:06d}.jpg" for k in range(N_FACES)]
    attributes = RANDOM.integers(0, 2, (N_FACES, 40))
    partition = np.array([0] * 28 + [1] * 4 + [2] * 8)
    for k, name in enumerate(names):
        image = np.full((218, 178, 3), (5 * k, 100, 200 - 4 * k), np.uint8)
        image[:35], image[183:] = 0, 255  # outside the crop
        Image.fromarray(image).save(folder / name, quality=95, subsampling=0)
    rows = [f"{n} {' '.join('1' if a else '-1' for a in row)}" for n, row in zip(names, attributes, strict=True)]
    lists = {"list_attr_celeba.txt": "\n".join([str(N_FACES), " ".join(ATTRIBUTES), *rows, ""])}
    lists["list_eval_partition.txt"] = "".join(f"{n} {p}\n" for n, p in zip(names, partition, strict=True))
    for name, text in lists.items():
        (root / "celeba" / name).write_text(text)
    with zipfile.ZipFile(root / "celeba/img_align_celeba.zip", "w") as archive:
        for name in names:
            archive.write(folder / name, f"img_align_celeba/{name}")
    use_digests(root, monkeypatch)
    return {"attributes": attributes, "partition": partition}


def use_digests(root: Path, monkeypatch) -> None:
    """The checksums of what lies there, in place of the official ones."""
    for cls in (CelebA, CelebASubset):
        new = tuple(
            Form(
                f.name,
                tuple(
                    File(x.path, md5(root / x.path) if x.digest and (root / x.path).exists() else x.digest)
                    for x in f.files
                ),
            )
            for f in cls.forms
        )
        monkeypatch.setattr(cls, "forms", new)
    monkeypatch.setattr(CelebA, "counts", {"train": 28, "test": 8})


def test_celeba_as_zip_and_as_folder_give_the_same_official_splits(root, faces):
    data = CelebA()
    card = data.prepare()
    assert card["form"] == "zip of aligned images" and card["crop"].startswith("box (15, 35, 163, 183)")
    test = data.load("test")
    assert np.array_equal(test.labels, faces["attributes"][faces["partition"] == 2])
    middle = test.images[0].astype(int)
    assert np.abs(middle - np.array([160, 100, 72])[:, None, None]).max() < 6, "nothing from outside the crop"
    (root / "celeba/img_align_celeba.zip").unlink()
    fingerprint = data.fingerprint()
    assert data.prepare(force=True)["form"] == "folder of aligned images" and data.fingerprint() == fingerprint


def test_the_crop_of_d2c_is_another_data_set(root, faces, monkeypatch):
    other = CelebAD2c()
    other.prepare()
    assert other.crop == (25, 57, 153, 185) and other.folder != CelebA().folder and other.title != CelebA.title
    assert other.load("test").images[0, 2, -1].min() > 200, "rows 183 and 184 of the original are white"


def test_an_incomplete_celeba_is_a_subset_and_says_so(root, faces, monkeypatch):
    (root / "celeba/img_align_celeba.zip").unlink()
    for k in (3, 7, 33):
        (root / f"celeba/img_align_celeba/{k + 1:06d}.jpg").unlink()
    with pytest.raises(
        UserError, match=r"3 of 40 images \(first 000004.jpg\) are not in the folder .* name celeba_subset"
    ):
        CelebA().prepare()
    subset = CelebASubset()
    assert subset.prepare()["counts"] == {"train": 26, "test": 7} and "subset" in subset.title
    keep = [k for k in range(N_FACES) if faces["partition"][k] == 2 and k != 33]
    assert np.array_equal(subset.load("test").labels, faces["attributes"][keep])


def test_an_archive_without_faces_is_an_error(root, faces, monkeypatch):
    path = root / "celeba/img_align_celeba.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(ROOT / "LICENSE", "LICENSE")
    with pytest.raises(UserError, match="damaged or another file"):
        CelebA().prepare()
    with pytest.raises(UserError, match="no image of CelebA in the zip"):
        CelebASubset().prepare()
    assert_nothing_half_written(root)


def test_a_cut_off_zip_or_image_is_an_error(root, faces):
    path = root / "celeba/img_align_celeba.zip"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(UserError, match="damaged or no zip file"):
        CelebASubset().prepare()
    path.unlink()
    image = root / "celeba/img_align_celeba/000009.jpg"
    image.write_bytes(image.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"000009.jpg is damaged or no image"):
        CelebA().prepare()
    assert_nothing_half_written(root)


def test_lists_that_do_not_belong_together_are_an_error(root, faces, monkeypatch):
    path = root / "celeba/list_eval_partition.txt"
    path.write_text(path.read_text().replace("000005.jpg", "000050.jpg"))
    with pytest.raises(UserError, match=r"list_eval_partition.txt is damaged or another file|do not match"):
        CelebA().prepare()
    use_digests(root, monkeypatch)
    with pytest.raises(UserError, match="do not match"):
        CelebA().prepare()
    assert_nothing_half_written(root)


N_TILES = 1030


@pytest.fixture
def sheets(root: Path) -> dict[str, np.ndarray]:
    """1,030 images of one colour each on two sheets, with metadata and checksums."""
    folder = root / "CelebA64"
    (folder / "sheets").mkdir(parents=True)
    colours = RANDOM.integers(0, 256, (N_TILES, 3)).astype(np.uint8)
    for k in range(2):
        part = colours[1024 * k : 1024 * (k + 1)]
        n_rows = -(-len(part) // 32)
        tiles = np.zeros((n_rows * 32, 64, 64, 3), np.uint8)
        tiles[: len(part)] = part[:, None, None]
        sheet = tiles.reshape(n_rows, 32, 64, 64, 3).transpose(0, 2, 1, 3, 4).reshape(n_rows * 64, 2048, 3)
        Image.fromarray(sheet).save(folder / f"sheets/sheet_{k:02d}.jpg", quality=94, subsampling=0)
    meta = {
        "attr": RANDOM.integers(0, 2, (N_TILES, 40)).astype(np.uint8),
        "attr_names": np.array(ATTRIBUTES),
        "filenames": np.array([f"{k:06d}.jpg" for k in range(N_TILES)]),
        "partition": RANDOM.choice([0, 0, 1, 2], N_TILES).astype(np.uint8),
    }
    np.savez(folder / "celeba64_meta.npz", **meta)
    write_sums(root)
    return meta | {"colours": colours}


def write_sums(root: Path) -> None:
    paths = [p for p in sorted((root / "CelebA64").rglob("*")) if p.is_file()]
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  ./{p.relative_to(root)}\n" for p in paths]
    (root / "SHA256SUMS").write_text("".join(lines))


@pytest.mark.parametrize("cls", [CelebASubset, CelebASubset32])
def test_sheets_are_cut_into_the_right_tiles(sheets, cls):
    data = cls()
    data.prepare()
    for split, number in (("train", 0), ("test", 2)):
        rows = np.flatnonzero(sheets["partition"] == number)
        arrays = data.load(split)
        assert np.array_equal(arrays.labels, sheets["attr"][rows]) and len(rows) == data.size(split)
        difference = np.abs(arrays.images.astype(int) - sheets["colours"][rows][:, :, None, None])
        assert difference.max() <= 4, "each tile has one colour, so no neighbour shows"


def test_sheets_need_checksums_and_are_checked(root, sheets):
    sheet = root / "CelebA64/sheets/sheet_01.jpg"
    content = bytearray(sheet.read_bytes())
    content[len(content) // 2] ^= 1
    sheet.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"sheet_01.jpg is damaged or another file \(SHA-256"):
        CelebASubset().prepare()
    (root / "SHA256SUMS").unlink()
    with pytest.raises(UserError, match=r"no checksum of CelebA64/celeba64_meta.npz and 2 more: put SHA256SUMS"):
        CelebASubset().prepare()
    assert_nothing_half_written(root)


def test_metadata_of_other_sheets_are_an_error(root, sheets):
    meta = {k: v for k, v in sheets.items() if k != "colours"}
    path = root / "CelebA64/celeba64_meta.npz"
    np.savez(path, **{k: v if k == "attr_names" else v[:1027] for k, v in meta.items()} | {"attr": meta["attr"]})
    write_sums(root)
    with pytest.raises(UserError, match=r"the attributes are \(1030, 40\) .* for 1027 images: the label file does not"):
        CelebASubset().prepare()
    longer = {k: v if k == "attr_names" else np.concatenate([v, v[:30]]) for k, v in meta.items()}
    longer["filenames"] = np.array([f"{k:06d}.jpg" for k in range(N_TILES + 30)])
    np.savez(path, **longer)
    write_sums(root)
    with pytest.raises(UserError, match=r"sheet_01.jpg is 2048x64, not 2048x128 as 36 images need: the label file"):
        CelebASubset().prepare()
    assert_nothing_half_written(root)


# --- the command line -------------------------------------------------------------------------------------------------


def cli(*arguments: str):
    from typer.testing import CliRunner

    from suite.commands.main import app

    return CliRunner().invoke(app, ["data", *arguments])


def test_prepare_prints_and_writes_the_card(fake, root, monkeypatch, tmp_path):
    monkeypatch.setattr("paramrel.data.dataset", lambda name: fake)
    done = cli("prepare", "fake", "--card", str(tmp_path / "card.json"))
    assert done.exit_code == 0 and "4 train, 4 test images, from gzipped idx files" in done.stdout
    assert json.loads((tmp_path / "card.json").read_text()) == fake.card()
    assert fake.fingerprint() in cli("verify", "fake").stdout and '"inputs"' in cli("show", "fake").stdout


def test_user_errors_are_one_line(root):
    for arguments, expected in (
        (("prepare", "minst_binarized"), "did you mean 'mnist_binarized'?"),
        (("prepare", "celeba"), "celeba/img_align_celeba.zip"),
        (("prepare", "digits", "celeba", "--card", "x"), "--card takes one"),
        (("prepare", "cifar10", "--no-download"), "https://www.cs.toronto.edu/~kriz/cifar.html"),
    ):
        done = cli(*arguments)
        assert done.exit_code == 2 and expected in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_embedded_sets_need_no_preparation(root):
    assert "from embedded: no files needed" in cli("prepare", "digits", "digits_binarized").stdout
    assert not (root.parent / "cache").exists()


def test_list_shows_every_set(root):
    lines = cli("list").stdout.splitlines()
    assert any(line.startswith("digits ") and "ready" in line for line in lines)
    assert any(line.startswith("celeba ") and "missing" in line and "40 attributes" in line for line in lines)


def test_the_cache_lies_where_it_is_told_or_in_the_users_cache(monkeypatch):
    monkeypatch.delenv("PARAMREL_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert _prepared.cache_root() == Path("/somewhere/paramrel")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert _prepared.cache_root() == Path.home() / ".cache/paramrel"
