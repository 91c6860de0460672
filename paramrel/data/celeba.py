"""CelebA: faces with 40 yes/no attributes, in the official partition. A name always means the same pixels."""

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from paramrel.data._base import SPLITS, Split, data_root
from paramrel.data._downloads import File, Form, content_sum, key_of
from paramrel.data._jpeg import channels_first, decode
from paramrel.data._prepared import Chunk, Prepared
from paramrel.errors import UserError

CHUNK = 1024
ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache",
    "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks",
    "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick",
    "Wearing_Necklace", "Wearing_Necktie", "Young",
)  # fmt: skip
PARTITION: dict[Split, int] = {"train": 0, "test": 2}
"""Numbers of the official partition. 1 is validation, which is not used."""
# MD5 as torchvision checks them
ATTRIBUTE_LIST = File("celeba/list_attr_celeba.txt", "75e246fa4810816ffd6ee81facbd244c")
PARTITION_LIST = File("celeba/list_eval_partition.txt", "d32c9cbf5e040fd4025c592c306e6668")
ARCHIVE = File("celeba/img_align_celeba.zip", "00d2c5bc6d35e252742224ab0c1e8fcb")
FOLDER = "celeba/img_align_celeba"
SHEETS, META = "CelebA64/sheets", "CelebA64/celeba64_meta.npz"
IN_ZIP, IN_FOLDER, IN_SHEETS = "zip of aligned images", "folder of aligned images", "sheets and metadata"


@dataclass(frozen=True)
class Table:
    """What the label files say about N images: names (N,), attributes (N, 40) of 0 and 1, partition (N,)."""

    names: np.ndarray
    attributes: np.ndarray
    partition: np.ndarray

    def rows(self, split: Split) -> np.ndarray:
        return np.flatnonzero(self.partition == PARTITION[split])


class CelebA(Prepared):
    """All 202,599 aligned faces: 162,770 for training, 19,962 for testing; the 19,867 for validation are left out.

    The centre 148x148 of 178x218 pixels (box 15, 35, 163, 183), resized bilinearly (Pillow, anti-aliased) to 64x64.
    """

    name = "celeba"
    title = "CelebA (64x64)"
    source = "CelebA (Z. Liu, P. Luo, X. Wang, X. Tang, ICCV 2015), aligned and cropped images"
    licence = "non-commercial research only; may not be passed on"
    by_hand = (
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (img_align_celeba.zip or its folder, list_attr_celeba.txt, "
        "list_eval_partition.txt into celeba/; its terms have to be agreed to, so nothing is downloaded here)"
    )
    shape = (3, 64, 64)
    levels = 255
    bins = 256
    kind = "discretised"
    label_kind = "attributes"
    label_names = ATTRIBUTES
    counts: ClassVar[dict] = {"train": 162_770, "test": 19_962}
    crop: ClassVar[tuple[int, int, int, int]] = (15, 35, 163, 183)
    """Left, top, right, bottom in the aligned 178x218 image."""
    forms: ClassVar[tuple[Form, ...]] = (
        Form(IN_ZIP, (ARCHIVE, ATTRIBUTE_LIST, PARTITION_LIST)),
        Form(IN_FOLDER, (File(f"{FOLDER}/000001.jpg"), ATTRIBUTE_LIST, PARTITION_LIST)),
    )

    def details(self) -> dict[str, Any]:
        left, top, right, bottom = self.crop
        return {
            "crop": f"box ({left}, {top}, {right}, {bottom}) of 178x218, bilinear to {self.shape[1]}x{self.shape[2]}",
            "partition": self.official_counts(),
        }

    def official_counts(self) -> dict[str, int]:
        """Images of each part of the official partition, validation included (which is not converted)."""
        return {"train": self.size("train"), "valid": 19_867, "test": self.size("test")}

    @property
    def folder(self) -> Path:
        """One for the official archive, and one for each other content: sizes and sums of all that is read count.

        A folder of images has no official checksum, so that the name of the set does not say what is in it.
        """
        official = super().folder
        try:
            form = self.find()
        except UserError:
            return official  # the files are no longer needed once it is prepared
        if form.name == IN_ZIP and form.official:
            return official
        return official.with_name(f"{official.name}-{self.key(form, data_root())}")

    def stand_ins(self, form: Form) -> list[Form]:
        """None: single images have no checksum."""
        return []

    def key(self, form: Form, root: Path) -> str:
        """What stands for everything that is read."""
        images = [root / FOLDER / name for name in self.table(form, root).names] if form.name == IN_FOLDER else []
        return key_of([*(root / file.path for file in form.files), *images], root)

    def hint(self, root: Path) -> str:
        if not (root / META).is_file():
            return ""
        return ". Sheets of a part of it are there: fewer images, compressed, so name celeba_subset instead"

    def read(self, form: Form, root: Path) -> Iterator[Chunk]:
        table = self.table(form, root)
        if form.name == IN_ZIP:
            with open_zip(self.name, root / form.files[0].path) as archive:
                yield from self._images(table, from_zip(self.name, archive))
        else:
            yield from self._images(table, lambda name: decode(self.name, root / FOLDER / name, root / FOLDER / name))

    def table(self, form: Form, root: Path) -> Table:
        """Labels of the images that ``form`` holds. Raises ``UserError`` unless it holds them all."""
        table, here = self._official(form, root)
        absent = table.names[~here]
        if len(absent):
            raise UserError(
                f"{self.name}: {len(absent):,} of {len(here):,} images (first {absent[0]}) are not in the {form.name} "
                f"below {root / 'celeba'}: complete it, or name celeba_subset to use what is there"
            )
        return table

    def _official(self, form: Form, root: Path) -> tuple[Table, np.ndarray]:
        """The official labels, and which of the images are there (N,)."""
        table = read_lists(self.name, root / ATTRIBUTE_LIST.path, root / PARTITION_LIST.path)
        if form.name == IN_ZIP:
            with open_zip(self.name, root / ARCHIVE.path) as archive:
                files = set(members_of(self.name, archive))
        else:
            files = {path.name for path in (root / FOLDER).glob("*.jpg")}
        return table, np.isin(table.names, sorted(files))

    def _images(self, table: Table, open_image: Callable[[str], Image.Image]) -> Iterator[Chunk]:
        for split in SPLITS:
            rows = table.rows(split)
            for part in np.array_split(rows, max(1, -(-len(rows) // CHUNK))):
                yield (
                    split,
                    np.stack([self._cropped(open_image, table.names[row]) for row in part]),
                    table.attributes[part],
                )

    def _cropped(self, open_image: Callable[[str], Image.Image], name: str) -> np.ndarray:
        image = open_image(name)
        if image.size != (178, 218):
            raise UserError(
                f"{self.name}: {name} is {image.size[0]}x{image.size[1]}, not 178x218: these are not the aligned images"
            )
        return channels_first(image.crop(self.crop).resize(self.shape[:0:-1], Image.Resampling.BILINEAR))


class CelebA32(CelebA):
    """The same crop at 32x32."""

    name = "celeba_32"
    title = "CelebA (32x32)"
    shape = (3, 32, 32)


class CelebAD2c(CelebA):
    """The crop of D2C and DiffAE: 128x128 around x = 89, y = 121."""

    name = "celeba_d2c"
    title = "CelebA (64x64, crop of D2C)"
    crop = (25, 57, 153, 185)


class CelebASubset(CelebA):
    """Any part of CelebA: whatever images are there, with the official attributes and partition.

    Read from sheets and metadata (``CelebA64/``: images of 64x64 after the crop of ``celeba``, 32 a row and 1,024 a
    JPEG sheet; their checksums from a SHA256SUMS file, which must be there), or from an incomplete zip or folder of
    aligned images. Which images and from what is in the card; runs record the fingerprint of the arrays.
    """

    name = "celeba_subset"
    title = "CelebA (subset, 64x64)"
    forms: ClassVar[tuple[Form, ...]] = (
        Form(IN_SHEETS, (File(META), File(f"{SHEETS}/sheet_00.jpg"))),
        Form(IN_ZIP, (File(ARCHIVE.path), ATTRIBUTE_LIST, PARTITION_LIST)),
        Form(IN_FOLDER, (ATTRIBUTE_LIST, PARTITION_LIST)),
    )

    def find(self) -> Form:
        form, root = super().find(), data_root()
        table = self.table(form, root)
        for split in SPLITS:
            if not len(table.rows(split)):
                raise UserError(
                    f"{self.name}: none of the {len(table.names)} images in the {form.name} belongs to the {split} "
                    f"split: add some"
                )
        if form.name == IN_SHEETS:
            sheets = [f"{SHEETS}/sheet_{k:02d}.jpg" for k in range(-(-len(table.names) // CHUNK))]
            sums = read_sums(self.name, root, [META, *sheets])
            return Form(form.name, tuple(File(path, sums[path]) for path in (META, *sheets)))
        return form

    def hint(self, root: Path) -> str:
        return ""

    def size(self, split: Split) -> int:
        return len(self.table(self.find(), data_root()).rows(split))

    def official_counts(self) -> dict[str, int]:
        partition = self.table(self.find(), data_root()).partition
        return {name: int((partition == k).sum()) for k, name in enumerate(("train", "valid", "test"))}

    def table(self, form: Form, root: Path) -> Table:
        if form.name == IN_SHEETS:
            return read_meta(self.name, root / META)
        official, here = self._official(form, root)
        rows = np.flatnonzero(here)
        if not len(rows):
            raise UserError(
                f"{self.name}: no image of CelebA in the {form.name} below {root / 'celeba'}: another archive? get "
                f"them from {self.by_hand}"
            )
        return Table(official.names[rows], official.attributes[rows], official.partition[rows])

    def read(self, form: Form, root: Path) -> Iterator[Chunk]:
        if form.name != IN_SHEETS:
            yield from super().read(form, root)
            return
        table = self.table(form, root)
        for k, file in enumerate(form.files[1:]):
            rows = np.arange(k * CHUNK, min((k + 1) * CHUNK, len(table.names)))
            images = self._tiles(root / file.path, len(rows))
            for split in SPLITS:
                mine = table.partition[rows] == PARTITION[split]
                yield split, images[mine], table.attributes[rows][mine]

    def _tiles(self, path: Path, n: int) -> np.ndarray:
        """The first ``n`` images of a sheet, uint8 (n, 3, H, W)."""
        sheet = decode(self.name, path, path)
        n_rows = -(-n // 32)
        if sheet.size != (2048, 64 * n_rows):
            raise UserError(
                f"{self.name}: {path} is {sheet.size[0]}x{sheet.size[1]}, not 2048x{64 * n_rows} as {n} images need: "
                f"the label file does not match the sheets"
            )
        if self.shape[1] != 64:  # whole blocks of pixels, so that no image runs into its neighbour
            sheet = sheet.reduce(64 // self.shape[1])
        _, h, w = self.shape
        return np.asarray(sheet).reshape(n_rows, h, 32, w, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3, h, w)[:n]


class CelebASubset32(CelebASubset):
    """The same at 32x32 (sheets: mean of 2x2 pixels)."""

    name = "celeba_subset_32"
    title = "CelebA (subset, 32x32)"
    shape = (3, 32, 32)


def open_zip(name: str, path: Path) -> zipfile.ZipFile:
    """Raises ``UserError`` if ``path`` is no zip file or cut off."""
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{name}: {path} is damaged or no zip file ({error}): replace it") from error


def members_of(name: str, archive: zipfile.ZipFile) -> dict[str, str]:
    """Members by file name. Raises ``UserError`` for two images of one name."""
    images = [member for member in archive.namelist() if member.endswith(".jpg")]
    check_names(name, np.array([Path(member).name for member in images]), str(archive.filename))
    return {Path(member).name: member for member in images}


def check_names(name: str, names: np.ndarray, origin: str) -> None:
    """Raises ``UserError`` for names that are not all different."""
    values, counts = np.unique(names, return_counts=True)
    if (counts > 1).any():
        raise UserError(
            f"{name}: {origin} has {values[counts > 1][0]} {counts.max()} times: every image needs a name of its own"
        )


def from_zip(name: str, archive: zipfile.ZipFile) -> Callable[[str], Image.Image]:
    """Image by file name."""
    members = members_of(name, archive)

    def open_image(file: str) -> Image.Image:
        if file not in members:
            raise UserError(f"{name}: {archive.filename} has no {file}: it is incomplete or another archive")
        try:
            return decode(name, f"{archive.filename}:{file}", archive.read(members[file]))
        except (zipfile.BadZipFile, EOFError) as error:
            raise UserError(
                f"{name}: {file} in {archive.filename} is damaged ({error}): replace the archive"
            ) from error

    return open_image


def read_lists(name: str, attributes: Path, partition: Path) -> Table:
    """The official list files. Raises ``UserError`` where they are damaged or do not belong together."""
    return _parsed(name, attributes, partition, content_sum(attributes), content_sum(partition))


@lru_cache(maxsize=2)
def _parsed(name: str, attributes: Path, partition: Path, *sums: str) -> Table:
    """``read_lists`` of files of these contents."""
    try:
        lines = attributes.read_text().split("\n")
        n, columns = int(lines[0]), tuple(lines[1].split())
        rows = [line.split() for line in lines[2:] if line]
        values = np.array([row[1:] for row in rows], np.int64)
        parts = [line.split() for line in partition.read_text().split("\n") if line]
        numbers = np.array([part[1] for part in parts], np.int64)
    except (OSError, ValueError, IndexError) as error:
        raise UserError(f"{name}: cannot read {attributes.name} or {partition.name} ({error}): replace them") from error
    names = np.array([row[0] for row in rows])
    if columns != ATTRIBUTES or len(rows) != n or values.shape[1:] != (40,) or [p[0] for p in parts] != names.tolist():
        raise UserError(
            f"{name}: {attributes} and {partition} do not match: {len(rows)} and {len(parts)} images, {len(columns)} "
            f"attributes (40 expected), {n} announced: replace them"
        )
    check_names(name, names, str(attributes))
    return Table(names, (values > 0).astype(np.int64), numbers)


def read_meta(name: str, path: Path) -> Table:
    """Metadata of sheets: ``filenames``, ``attr``, ``attr_names``, ``partition`` in one .npz file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            names, values, columns, partition = (file[key] for key in ("filenames", "attr", "attr_names", "partition"))
    except Exception as error:  # numpy and zipfile raise many kinds for damaged files
        raise UserError(f"{name}: {path} is not the metadata of sheets ({error}): replace it") from error
    n = len(names)
    if values.shape != (n, 40) or partition.shape != (n,) or tuple(columns) != ATTRIBUTES:
        raise UserError(
            f"{name}: in {path} the attributes are {values.shape} and the partition {partition.shape} for {n} "
            f"images: the label file does not match"
        )
    check_names(name, names, str(path))
    return Table(names, values.astype(np.int64), partition)


def read_sums(name: str, root: Path, wanted: list[str]) -> dict[str, str]:
    """SHA-256 of ``wanted`` from a file SHA256SUMS (``sha256sum``'s format) in ``root`` or in CelebA64/."""
    sums: dict[str, str] = {}
    for folder in ("CelebA64", "."):
        path = root / folder / "SHA256SUMS"
        if path.is_file():
            for line in path.read_text().splitlines():
                digest, _, file = line.partition(" ")
                sums[(Path(folder) / file.strip().removeprefix("*")).as_posix()] = digest
    absent = [file for file in wanted if file not in sums]
    if absent:
        raise UserError(
            f"{name}: no checksum of {absent[0]}{f' and {len(absent) - 1} more' if len(absent) > 1 else ''}: put "
            f"SHA256SUMS into {root}, "
            f"or if you trust the files, make it: (cd {root} && sha256sum CelebA64/*.npz CelebA64/sheets/* > "
            f"SHA256SUMS)"
        )
    return sums
