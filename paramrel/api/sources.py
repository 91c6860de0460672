"""Images of a user: a folder, an array or a file of arrays, checked and made one form before anything is trained."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from paramrel.api._pixels import Layout, to_uint8
from paramrel.data._own import OwnImages, own_images
from paramrel.errors import UserError
from paramrel.progress import progress

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
NAMED = 10
"""Bad files that an error names."""


@dataclass(frozen=True)
class Images:
    """Images that are ready for ``train``."""

    data: OwnImages
    layout: Layout
    """Order of the axes in which the user's images came, and in which images are given back."""
    notes: tuple[str, ...] = field(default=())
    """What was changed on the way, in words: resized, alpha removed, 16 bits made 8."""

    @property
    def train(self) -> np.ndarray:
        """The images that models are trained on, uint8, in ``layout``."""
        return self._given("train")

    @property
    def test(self) -> np.ndarray:
        """The images that are held out, uint8, in ``layout``."""
        return self._given("test")

    @property
    def train_labels(self) -> np.ndarray:
        """Class numbers of ``train``, positions in ``classes``."""
        return self.data.load("train").labels

    @property
    def test_labels(self) -> np.ndarray:
        """Class numbers of ``test``."""
        return self.data.load("test").labels

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; ("unlabelled",) without labels."""
        return self.data.class_names

    def _given(self, split: str) -> np.ndarray:
        stored = self.data.load("train" if split == "train" else "test").images
        stored = stored * (255 // self.data.levels)
        if self.layout == "NHW":
            return stored[:, 0]
        return stored if self.layout == "NCHW" else stored.transpose(0, 2, 3, 1)


def images(
    source: str | Path | np.ndarray,
    labels: str | Sequence | np.ndarray | None = None,
    *,
    name: str = "images",
    size: int | None = None,
    grey: bool = False,
    test: float = 0.2,
    layout: Layout | None = None,
) -> Images:
    """Images from a folder of files, an array, or an .npz file.

    Folder: all image files below it; ``labels="folder"`` takes the name of the folder that holds a file as its class.
    Folders ``train`` and ``test`` at its top decide what is held out. Images must have one size; ``size`` resizes the
    shorter side to it and cuts the middle square out. Turned photos (EXIF) are turned upright, transparent ones are put
    on white, 16-bit greys are made 8-bit: ``notes`` says so. ``grey`` makes colour grey.

    Array: uint8 of 0..255, bool, or floats in [0, 1]; (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 to 4 channels.
    An .npz file holds such an array as ``images`` and may hold ``labels``.

    ``labels``: one per image, of any type. ``test``: share of the images that is held out, by a rule that depends on
    ``name`` and the position of an image alone. Images of two values are binary. Raises ``UserError`` naming the
    files that cannot be read, sizes that differ, values out of range.
    """
    if size is not None and size < 1:
        raise UserError(f"size={size}: give the side of the images in pixels")
    if isinstance(source, list | tuple):
        source = np.asarray(source)
    if not 0 <= test < 1:
        raise UserError(f"test={test}: give the share of images to hold out, from 0 to below 1")
    if isinstance(source, np.ndarray):
        given = None if labels is None or isinstance(labels, str) else np.asarray(labels)
        if isinstance(labels, str):
            raise UserError(f"labels={labels!r} with an array: give the labels as an array, one per image")
        if size is not None or grey:
            raise UserError("size and grey change files of a folder, not an array: resize it before")
        values, found = to_uint8(source, layout)
        return Images(own_images(values, given, name, test), found)
    path = Path(source).expanduser()
    if path.is_dir():
        return _from_folder(path, labels, name, size, grey, test)
    if path.suffix == ".npz" and path.is_file():
        return _from_npz(path, labels, name, test, layout)
    raise UserError(f"{path} is neither a folder nor an .npz file: give one of them, or an array")


def _from_npz(
    path: Path, labels: str | Sequence | np.ndarray | None, name: str, test: float, layout: Layout | None
) -> Images:
    if isinstance(labels, str):
        raise UserError(f"labels={labels!r} with an .npz file: it may hold an array named labels")
    try:
        with np.load(path, allow_pickle=False) as file:
            if "images" not in file.files:
                raise UserError(f"{path} has no array named images; it has {', '.join(file.files) or 'none'}")
            array = file["images"]
            known = file["labels"] if labels is None and "labels" in file.files else labels
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} cannot be read ({error}): save it again with numpy.savez") from error
    values, found = to_uint8(array, layout)
    return Images(own_images(values, None if known is None else np.asarray(known), name, test), found)


def _from_folder(
    folder: Path, labels: str | Sequence | np.ndarray | None, name: str, size: int | None, grey: bool, test: float
) -> Images:
    found = (path for path in folder.rglob("*") if not path.name.startswith("."))
    files = sorted(path for path in found if path.suffix.lower() in SUFFIXES)
    if not files:
        raise UserError(f"{folder} holds no image file ({', '.join(SUFFIXES)})")
    pictures, notes = _read(files, size, grey)
    if labels is None:
        given = None
    elif isinstance(labels, str):
        if labels != "folder":
            raise UserError(f"labels={labels!r}: give 'folder', or one label per image in the order of their paths")
        given = np.array([path.parent.name for path in files])
    else:
        given = np.asarray(labels)
    tops = [path.relative_to(folder).parts[0] for path in files]
    is_test = np.array([top == "test" for top in tops]) if set(tops) == {"train", "test"} else None
    data = own_images(np.stack(pictures), given, name, test, is_test)
    return Images(data, "NHW" if data.shape[0] == 1 else "NHWC", tuple(notes))


def _read(files: list[Path], size: int | None, grey: bool) -> tuple[list[np.ndarray], list[str]]:
    """Pictures (C, H, W) of one shape, and what was changed on the way."""
    pictures: list[Image.Image] = []
    bad: list[str] = []
    notes: set[str] = set()
    for path in progress(files, what="images", unit=" files", brief=True):
        try:
            with Image.open(path) as opened:
                picture, changed = _upright(opened)
        except Exception as error:  # Pillow raises many kinds for damaged files
            bad.append(f"{path} ({error})")
            continue
        notes |= changed
        if size is not None and picture.size != (size, size):
            picture = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
            notes.add(f"resized to {size}x{size}")
        pictures.append(picture)
    if bad:
        more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        raise UserError(f"{len(bad)} file(s) cannot be read: {'; '.join(bad[:NAMED])}{more}: repair or remove them")
    colour = not grey and any(picture.mode == "RGB" for picture in pictures)
    arrays = [_as_array(picture, colour) for picture in pictures]
    _check_one_size(files, arrays)
    return arrays, sorted(notes)


def _upright(opened: Image.Image) -> tuple[Image.Image, set[str]]:
    """The picture as L or RGB, turned as its EXIF says, and what was changed."""
    notes = set()
    picture = ImageOps.exif_transpose(opened)
    if picture.size != opened.size:
        notes.add("turned upright as EXIF says")
    if picture.mode.startswith("I;16") or picture.mode == "I":
        values = np.asarray(picture).astype(np.int64)
        notes.add("16-bit greys made 8-bit (divided by 256)")
        if values.max() < 1 << 13:
            notes.add(
                "16-bit greys whose largest value is below 8192: dark, if the camera has 12 bits scale them before"
            )
        return Image.fromarray((values >> 8).clip(0, 255).astype(np.uint8)), notes
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        if np.asarray(picture)[..., 3].min() < 255:
            notes.add("transparent pixels put on white")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB"), notes
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB"), notes


def _as_array(picture: Image.Image, colour: bool) -> np.ndarray:
    array = np.asarray(picture.convert("RGB" if colour else "L"))
    return array.transpose(2, 0, 1) if colour else array[None]


def _check_one_size(files: list[Path], arrays: list[np.ndarray]) -> None:
    first = arrays[0].shape
    other = next((i for i, array in enumerate(arrays) if array.shape != first), None)
    if other is not None:
        a, b = ("x".join(map(str, shape[1:])) for shape in (first, arrays[other].shape))
        raise UserError(
            f"images differ in size: {files[0]} is {a}, {files[other]} {b}: give size=, to which all are made"
        )
