"""Our renderer, the labels of 3D Shapes, and the two data sets that share its factors."""

import hashlib
import itertools
from pathlib import Path

import h5py
import numpy as np
import pytest

from paramrel.data import _render as r
from paramrel.data import dataset
from paramrel.data._downloads import File, Form
from paramrel.data.shapes3d import Shapes3d, label_classes
from paramrel.errors import UserError
from suite.measure.encode import drawn

HUE_GRIDS = (np.arange(10) / 10, np.linspace(0, 1, 10))
"""The file holds the first; its page says the second."""


def stored_values(hues: np.ndarray, dtype: type) -> np.ndarray:
    """Labels of all 480,000 images as an HDF5 file would hold them, (480000, 6)."""
    grids = [hues, hues, hues, np.linspace(0.75, 1.25, 8), np.arange(4), np.linspace(-30, 30, 15)]
    return np.stack([axis.ravel() for axis in np.meshgrid(*grids, indexing="ij")], 1).astype(dtype)


@pytest.mark.parametrize("hues", HUE_GRIDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_all_480_000_labels_survive_rounding(hues, dtype):
    values = stored_values(hues, dtype)
    classes = label_classes(values, r.FACTOR_SIZES, "f")
    position = np.ravel_multi_index(tuple(classes.T), r.FACTOR_SIZES)
    assert np.array_equal(position, np.arange(480_000))
    assert [len(np.unique(column)) for column in classes.T] == [10, 10, 10, 8, 4, 15]


def test_scale_classes_3_4_and_5_stay_apart_where_truncation_merges_them():
    for dtype in (np.float64, np.float32):
        scales = np.linspace(0.75, 1.25, 8).astype(dtype)
        truncated = ((scales - scales.min()) / (scales.max() - scales.min()) * 7).astype(int)
        column = np.unique(label_classes(stored_values(HUE_GRIDS[0], dtype), r.FACTOR_SIZES, "f")[:, 3])
        assert column.tolist() == list(range(8))
        assert len(set(truncated.tolist())) < 8


def test_values_off_the_grid_or_out_of_order_are_an_error():
    good = stored_values(HUE_GRIDS[0], np.float64)
    with pytest.raises(UserError, match="not the 480000 combinations"):
        label_classes(good[::-1], r.FACTOR_SIZES, "f")
    bad = good.copy()
    bad[5, 3] += 0.02
    with pytest.raises(UserError, match="not the 480000 combinations"):
        label_classes(bad, r.FACTOR_SIZES, "f")
    with pytest.raises(UserError, match="the label array does not match"):
        label_classes(good[:-1], r.FACTOR_SIZES, "f")


# --- the official file, in small --------------------------------------------------------------------------------------

SMALL = (3, 2, 2, 8, 2, 2)


@pytest.fixture
def small(tmp_path: Path, monkeypatch) -> tuple[Shapes3d, Path]:
    """A file of the official layout with 384 images whose first pixel is their position."""
    n = int(np.prod(SMALL))
    path = tmp_path / "data/3dshapes.h5"
    path.parent.mkdir()
    write_h5(path, n, n)
    monkeypatch.setenv("PARAMREL_DATA", str(path.parent))
    monkeypatch.setenv("PARAMREL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Shapes3d, "sizes", SMALL)
    monkeypatch.setattr(Shapes3d, "counts", {"train": n - 40, "test": 40})
    monkeypatch.setattr(Shapes3d, "forms", (Form("official", (File("3dshapes.h5"),)),))
    return Shapes3d(), path


def write_h5(path: Path, n_images: int, n_labels: int) -> None:
    images = np.zeros((n_images, 64, 64, 3), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.arange(n_images) % 256, np.arange(n_images) // 256
    grids = [np.linspace(0, 0.9, 3), [0, 0.9], [0, 0.9], np.linspace(0.75, 1.25, 8), [0, 1], [-30, 30]]
    values = np.stack([axis.ravel() for axis in np.meshgrid(*grids, indexing="ij")], 1)
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, chunks=(16, 64, 64, 3), compression="gzip")
        file.create_dataset("labels", data=values[:n_labels])


def test_the_official_layout_is_read_and_split_by_the_rule(small):
    data, _ = small
    scenes = data.scenes()
    for split in ("train", "test"):
        arrays = data.load(split)
        position = arrays.images[:, 0, 0, 0].astype(int) + 256 * arrays.images[:, 1, 0, 0].astype(int)
        assert np.array_equal(position, scenes[split])
        assert np.array_equal(np.ravel_multi_index(tuple(arrays.labels.T), SMALL), position)
    assert not set(scenes["train"]) & set(scenes["test"])


def test_a_damaged_or_other_hdf5_file_is_an_error(small, monkeypatch):
    data, path = small
    good = path.read_bytes()
    for content in (good[: len(good) // 2], b"hello"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"is damaged or not 3dshapes.h5"):
            data.prepare()
    write_h5(path, 384, 383)
    with pytest.raises(UserError, match="the label array does not match"):
        data.prepare()
    write_h5(path, 383, 384)
    with pytest.raises(UserError, match="not 3D Shapes"):
        data.prepare()
    path.write_bytes(good)
    digest = hashlib.sha256(good[:-1]).hexdigest()
    monkeypatch.setattr(Shapes3d, "forms", (Form("official", (File("3dshapes.h5", digest),)),))
    with pytest.raises(UserError, match=r"damaged or another file \(SHA-256"):
        data.prepare()
    assert not data.folder.exists()


# --- the renderer -----------------------------------------------------------------------------------------------------


def scene(**factors: int) -> int:
    names = ("floor", "wall", "object", "scale", "shape", "orientation")
    middle = {"floor": 3, "wall": 6, "object": 0, "scale": 4, "shape": 0, "orientation": 7}
    return int(np.ravel_multi_index([(middle | factors)[name] for name in names], r.FACTOR_SIZES))


def test_images_do_not_depend_on_order_chunks_or_company():
    chosen = np.random.default_rng(0).choice(480_000, 60, replace=False)
    together = r.render(chosen, 16)
    assert np.array_equal(together[::-1], r.render(chosen[::-1], 16))
    chunks = list(r.render_chunks(chosen, 16, 7))
    assert np.array_equal(together, np.concatenate([images for _, images in chunks]))
    assert max(len(images) for _, images in chunks) == 7
    assert r.render(chosen[:0], 16).shape == (0, 3, 16, 16)


def test_the_pixels_never_change():
    """If they have to, raise the version of shapes3d_rendered."""
    images = r.render(np.arange(0, 480_000, 4801), 16)
    assert (
        hashlib.sha256(images.tobytes()).hexdigest()
        == "180817c0038ca9f66312a8f077151ac6b992d04282c6c71b8316dea1787387f7"
    )


@pytest.mark.parametrize("surface", ["floor", "wall", "object"])
def test_a_hue_colours_its_own_surface_and_nothing_else(surface):
    light = r.light_of(scene() % r.N_GEOMETRIES, 32)
    own = light[["floor", "wall", "object"].index(surface)] > 0
    a, b = r.render(np.array([scene(), scene(**{surface: 8})]), 32)
    changed = (a != b).any(0)
    assert changed.any() and not changed[~own].any()


def test_light_is_shared_out_and_never_more_than_all():
    for geometry in range(0, r.N_GEOMETRIES, 37):
        total = r.light_of(geometry, 16).astype(int).sum(0)
        assert total.max() <= r.LIGHT_LEVELS + 2 and total.min() >= r.AMBIENT * r.LIGHT_LEVELS - 2


def test_objects_grow_with_scale_and_every_combination_of_the_rest_is_another_picture():
    covered = [(r.light_of(scene(scale=k) % r.N_GEOMETRIES, 64)[2] > 0).sum() for k in range(8)]
    assert all(a < b for a, b in itertools.pairwise(covered))
    pictures = r.render(
        np.array([scene(shape=s, scale=k, orientation=o) for s in range(4) for k in range(8) for o in range(15)]), 64
    )
    assert len({image.tobytes() for image in pictures}) == 4 * 8 * 15


def test_hues_are_those_of_hsv():
    import colorsys

    expected = [[round(255 * c) for c in colorsys.hsv_to_rgb(k / 10, 1, 1)] for k in range(10)]
    assert np.abs(r._albedo() - expected).max() <= 1


@pytest.mark.parametrize("shape", r.SHAPES)
def test_rays_meet_surfaces_where_algebra_says(shape):
    """Points hit satisfy the surface's equation; normals have length 1 and face the ray; a miss has no solution."""
    rng = np.random.default_rng(1)
    scale = 1.1
    origin = np.tile([[0.3], [-3.0], [1.4]], 4000)
    target = rng.uniform(-1, 1.5, (3, 4000))
    direction = (target - origin) / np.linalg.norm(target - origin, axis=0)
    t, normal = r.OBJECTS[shape](origin, direction, scale)
    hit = t < r.FAR
    assert 0.05 < hit.mean() < 0.95
    x, y, z = (origin + t * direction)[:, hit]
    ring = np.hypot(x, y)
    residual = {
        "cube": np.maximum(np.maximum(abs(x), abs(y)), abs(z - scale / 2)) - scale / 2,
        "cylinder": np.maximum(ring - 0.5 * scale, z - scale),
        "sphere": np.sqrt(ring**2 + (z - 0.55 * scale) ** 2) - 0.55 * scale,
        "capsule": np.hypot(ring, z - np.clip(z, 0.36 * scale, 0.94 * scale)) - 0.36 * scale,
    }[shape]
    assert np.abs(residual).max() < 1e-9
    assert np.allclose(np.linalg.norm(normal[:, hit], axis=0), 1) and ((normal * direction).sum(0)[hit] <= 1e-9).all()
    steps = origin[:, ~hit, None] + direction[:, ~hit, None] * np.linspace(0, 8, 200)
    assert not inside(shape, steps, scale * 0.98).any()


def inside(shape: str, points: np.ndarray, scale: float) -> np.ndarray:
    x, y, z = points
    ring, above = np.hypot(x, y), z > 0.02
    return (
        above
        & {
            "cube": np.maximum(abs(x), abs(y)) < scale / 2,
            "cylinder": ring < 0.5 * scale,
            "sphere": ring**2 + (z - 0.55 * scale) ** 2 < (0.55 * scale) ** 2,
            "capsule": np.hypot(ring, z - np.clip(z, 0.36 * scale, 0.94 * scale)) < 0.36 * scale,
        }[shape]
        & (z < {"cube": scale, "cylinder": scale}.get(shape, 9))
    )


def test_rendered_sets_nest_and_are_never_called_3d_shapes():
    official = dataset("shapes3d").scenes()
    for name in ("shapes3d_rendered", "shapes3d_rendered_32", "shapes3d_rendered_16", "shapes3d_rendered_16_large"):
        data = dataset(name)
        scenes = data.scenes()
        assert set(scenes["test"]) <= set(official["test"]) and set(scenes["train"]) <= set(official["train"])
        assert "3D Shapes" not in data.title and {k: len(v) for k, v in scenes.items()} == data.counts
    small = dataset("shapes3d_rendered_16")
    arrays = small.load("test")
    assert np.array_equal(arrays.images[:20], r.render(small.scenes()["test"][:20], 16))
    assert np.array_equal(arrays.labels, r.factors_of(small.scenes()["test"]))


def test_attributes_are_one_hot_values_and_halves_of_ordered_factors():
    data = dataset("shapes3d_rendered_16")
    labels = r.factors_of(np.arange(0, 480_000, 97))
    values, names = data.attributes(labels)
    assert values.shape == (len(labels), 57 + 2) and len(set(names)) == 59
    assert np.array_equal(values[:, :57].sum(1), np.full(len(labels), 6))
    assert np.array_equal(values[:, names.index("shape=sphere")], labels[:, 4] == 2)
    assert np.array_equal(values[:, 57], labels[:, 3] >= 4) and np.array_equal(values[:, 58], labels[:, 5] >= 8)
    assert names[57:] == ("scale>=1.036", "orientation>=4.3")


def test_held_out_images_are_drawn_from_all_factors_and_not_from_the_first_rows():
    data = dataset("shapes3d_rendered_16")
    rows = drawn(data, "test", 400)
    _, labels = data.evaluation_images("test", rows)
    _, everything = data.evaluation_images("test")
    assert len(set(rows.tolist())) == 400
    for factor in range(6):
        assert set(labels[:, factor]) == set(everything[:, factor])
        values = everything[:, factor].max()
        assert abs(labels[:, factor].mean() - everything[:, factor].mean()) < 0.1 * values
    assert np.array_equal(rows[:64], drawn(data, "test", 64)), "fewer images are the first of more"
