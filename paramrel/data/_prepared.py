"""Data sets that are converted once to memory-mapped arrays, with a card that says from what.

``$PARAMREL_CACHE/<name>-v<version>/`` (default ``~/.cache/paramrel``) holds ``<split>-images.npy`` (uint8),
``<split>-labels.npy`` (uint8) and ``card.json``. The folder appears whole or not at all; ``$PARAMREL_DATA`` is only
read, so it may be read-only, and is no longer needed afterwards.
"""

import hashlib
import json
import os
import shutil
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from filelock import FileLock

from paramrel.data._base import SPLITS, DataSet, Labelled, Split, data_root
from paramrel.data._checks import check_count, check_images, check_labels
from paramrel.data._downloads import BLOCK, Form, check_space, download, verify
from paramrel.errors import UserError
from paramrel.files import write_json
from paramrel.progress import progress

Chunk = tuple[Split, np.ndarray, np.ndarray]
"""Some images of a split, uint8 (n, C, H, W), with their labels (n,) or (n, k), in the order of the split."""

HINT = "paramrel data prepare"


class Prepared(DataSet):
    """A data set whose files are converted once. A subclass says where its files lie and how they are read."""

    prepared_once = True
    forms: ClassVar[tuple[Form, ...]] = ()
    """Ways in which the files may lie; the first that is complete is taken. Where its checksums are wrong, so is the
    next one that is complete and has official checksums as well. Those with addresses can be downloaded."""
    counts: ClassVar[dict[Split, int]]
    """Images of each split."""
    by_hand: ClassVar[str] = ""
    """Where the files are to be had."""

    @abstractmethod
    def read(self, form: Form, root: Path) -> Iterable[Chunk]:
        """The images in parts that fit into memory, from files whose checksums were verified."""

    def details(self) -> dict[str, Any]:
        """What else the card should say: crop, seed, order."""
        return {}

    def load(self, split: Split) -> Labelled:
        self.prepare()
        images = np.load(self.folder / f"{split}-images.npy", mmap_mode="c")  # "c": private, never written back
        labels = np.load(self.folder / f"{split}-labels.npy").astype(np.int64)
        return Labelled(images, labels)

    def size(self, split: Split) -> int:
        return self.counts[split]

    @property
    def folder(self) -> Path:
        """Where the prepared arrays lie."""
        return cache_root() / f"{self.name}-v{self.version}"

    @property
    def n_bytes(self) -> int:
        """Size of the prepared images on disk."""
        return sum(self.size(split) for split in SPLITS) * self.n_dims

    def card(self) -> dict[str, Any] | None:
        """The card, or None if the set is not prepared. Raises ``UserError`` if what is there is damaged."""
        if not self.folder.exists() and not self._recovered():
            return None
        try:
            card = json.loads((self.folder / "card.json").read_text())
            sizes = {name: (self.folder / name).stat().st_size for name in card["arrays"]}
        except (OSError, ValueError, KeyError) as error:
            raise self._damaged(f"{type(error).__name__}: {error}") from error
        for name, array in card["arrays"].items():
            if sizes[name] != array["bytes"]:
                raise self._damaged(f"{name} has {sizes[name]:,} bytes and should have {array['bytes']:,}")
        return card

    def _damaged(self, what: str) -> UserError:
        return UserError(
            f"{self.name}: the prepared arrays in {self.folder} are damaged ({what}): run {HINT} {self.name} --force"
        )

    def check_available(self) -> None:
        if self.card() is None:
            self.find()

    def state(self) -> Literal["ready", "found", "missing"]:
        try:
            if self.card() is not None:
                return "ready"
            self.find()
        except UserError:
            return "missing"
        return "found"

    def find(self) -> Form:
        """The first form whose files are all there. Raises ``UserError`` that names what is missing and the way out."""
        if not self.forms:
            return Form("made", ())
        root = data_root()
        missing = {form.name: [f.path for f in form.files if not (root / f.path).is_file()] for form in self.forms}
        for form in self.forms:
            if not missing[form.name]:
                return form
        begun = [form for form in self.forms if len(missing[form.name]) < len(form.files)]
        nearest = (begun or list(self.forms))[0]
        files = missing[nearest.name]
        shown = ", ".join(files[:4]) + (f" and {len(files) - 4} more" if len(files) > 4 else "")
        others = "; or ".join(f.name for f in self.forms if f is not nearest)
        ways = [f"get the files from {self.by_hand} and put them into {root}"]
        if any(file.urls for form in self.forms for file in form.files):
            ways.insert(0, f"download with {HINT} {self.name}")
        raise UserError(
            f"{self.name}: {shown} missing below PARAMREL_DATA={root} "
            f"({nearest.name}{'; or ' + others if others else ''}): "
            f"{', or '.join(ways)}{self.hint(root)}"
        )

    def hint(self, root: Path) -> str:
        """A sentence about near relatives that are there."""
        return ""

    def prepare(self, download: bool = False, force: bool = False) -> dict[str, Any]:
        """Convert the files unless that was done, and return the card.

        ``download``: fetch files that are missing. ``force``: convert again. A process that is killed leaves the old
        state; several at once wait for one another.
        """
        card = None if force else self.card()
        if card is not None:
            return card
        form = self._fetched() if download else self.find()
        with _locked(self.folder) as partial:
            card = None if force else self.card()
            if card is not None:
                return card
            try:
                card = self._convert(form, partial)
                self._put(partial)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return card

    def _fetched(self) -> Form:
        """``find`` after downloading what is missing of the first form that has addresses."""
        try:
            return self.find()
        except UserError:
            for form in self.forms:
                if all(file.urls for file in form.files):
                    root = data_root()
                    try:
                        for file in form.files:
                            if not (root / file.path).is_file():
                                download(self.name, file, root)
                    except UserError as error:
                        raise UserError(f"{error}{self.hint(root)}") from error
                    return form
            raise

    def stand_ins(self, form: Form) -> list[Form]:
        """Forms that hold the same as ``form``: all, where every file of them has an official checksum."""
        return [other for other in self.forms if other.official and form.official and other != form]

    def _inputs(self, form: Form, root: Path) -> list[dict[str, Any]]:
        """What the card says of the files. Raises ``UserError`` for a wrong checksum."""
        return [
            {
                "path": f.path,
                "bytes": (root / f.path).stat().st_size,
                "sha256": verify(self.name, root / f.path, f.digest),
                "official_digest": f.digest,
            }
            for f in form.files
        ]

    def _sound(self, form: Form, root: Path) -> tuple[Form, list[dict[str, Any]], list[str]]:
        """``form``, or where it is damaged the next of its ``stand_ins``; its files; why others were passed over."""
        reasons: list[str] = []
        for one in (form, *self.stand_ins(form)):
            if all((root / file.path).is_file() for file in one.files):
                try:
                    return one, self._inputs(one, root), reasons
                except UserError as error:
                    reasons.append(str(error))
        raise UserError(reasons[0])

    def _convert(self, form: Form, partial: Path) -> dict[str, Any]:
        root = data_root() if form.files else Path()
        form, inputs, passed_over = self._sound(form, root)
        counts = {split: self.size(split) for split in SPLITS}
        for split, count in counts.items():
            if count == 0:
                raise UserError(f"{self.name}: there is no {split} image in the {form.name}: both splits are needed")
        check_space(partial.parent, self.n_bytes)
        partial.mkdir()
        self._write(self.read(form, root), counts, partial)
        names = [f"{split}-{what}.npy" for split in SPLITS for what in ("images", "labels")]
        card = (
            self.declaration()
            | self.details()
            | {
                "form": form.name,
                "inputs": inputs,
                "counts": counts,
                "fingerprint": self._digest(partial),
                "arrays": {name: {"bytes": (partial / name).stat().st_size} for name in names},
                **({"passed_over": passed_over} if passed_over else {}),
            }
        )
        write_json(partial / "card.json", card)
        return card

    def _write(self, parts: Iterable[Chunk], counts: dict[Split, int], partial: Path) -> None:
        """Images go to disk part by part; labels are small."""
        files = {split: (partial / f"{split}-images.npy").open("wb") for split in SPLITS}
        labels: dict[Split, list[np.ndarray]] = {split: [] for split in SPLITS}
        try:
            for split, file in files.items():
                header = {"descr": "|u1", "fortran_order": False, "shape": (counts[split], *self.shape)}
                np.lib.format.write_array_header_1_0(file, header)
            with progress(what=self.name, unit=" images", total=sum(counts.values())) as bar:
                for split, images, part_labels in parts:
                    check_images(self, images)
                    check_labels(self, part_labels)
                    if len(images) != len(part_labels):  # a chunk may hold no image of a split
                        check_count(self, split, len(images), len(part_labels), len(images))
                    files[split].write(np.ascontiguousarray(images).data)
                    labels[split].append(part_labels.astype(np.uint8))
                    bar.update(len(images))
        finally:
            for file in files.values():
                file.close()
        for split in SPLITS:
            joined = np.concatenate(labels[split]) if labels[split] else np.empty(0, np.uint8)
            if len(joined) != counts[split]:
                raise UserError(
                    f"{self.name}: {len(joined)} {split} images, not {counts[split]}: the files are not complete"
                )
            np.save(partial / f"{split}-labels.npy", joined)

    @property
    def _old(self) -> Path:
        """Where the old folder lies while a new one takes its place."""
        return self.folder.with_name(f".{self.folder.name}.old")

    def _recovered(self) -> bool:
        """Whether an old folder was put back, whose replacement was killed before it was in place."""
        if not self._old.exists():
            return False
        with _lock(self.folder):
            if not self.folder.exists() and self._old.exists():
                self._old.rename(self.folder)
        return self.folder.exists()

    def _put(self, partial: Path) -> None:
        """Move the finished folder into place; an old one is moved aside first, and back if that fails."""
        for path in partial.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if self.folder.exists():
            shutil.rmtree(self._old, ignore_errors=True)
            self.folder.rename(self._old)
        try:
            partial.rename(self.folder)
        except OSError:
            if self._old.exists():
                self._old.rename(self.folder)
            raise
        shutil.rmtree(self._old, ignore_errors=True)

    def fingerprint(self) -> str:
        """As ``DataSet.fingerprint``, from the files. Raises ``UserError`` if it is not what the card says."""
        expected, found = self.prepare()["fingerprint"], self._digest(self.folder)
        if found != expected:
            raise self._damaged(f"sha256 {found}, expected {expected}")
        return found

    def _digest(self, folder: Path) -> str:
        digest = hashlib.sha256()
        for split in SPLITS:
            with (folder / f"{split}-images.npy").open("rb") as file:
                np.lib.format.read_magic(file)
                shape = np.lib.format.read_array_header_1_0(file)[0]
                digest.update(f"uint8{shape}".encode())
                while block := file.read(BLOCK):
                    digest.update(block)
            labels = np.load(folder / f"{split}-labels.npy").astype(np.int64)
            digest.update(f"{labels.dtype}{labels.shape}".encode())
            digest.update(labels)
        return digest.hexdigest()


def cache_root() -> Path:
    """``$PARAMREL_CACHE``, or ``paramrel`` in the user's cache folder; ``~`` is the user's home."""
    given = os.environ.get("PARAMREL_CACHE")
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "paramrel"


def _lock(folder: Path) -> FileLock:
    return FileLock(folder.with_name(f".{folder.name}.lock"), is_singleton=True)  # so that its holder may ask again


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """One process at a time per folder; yields the place to build it in, free of leftovers of a killed one."""
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            shutil.rmtree(partial, ignore_errors=True)
            yield partial
    except OSError as error:
        raise UserError(
            f"cannot make {folder}: {error}: name a writable folder with free space in PARAMREL_CACHE"
        ) from error
