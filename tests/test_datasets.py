"""Contract of every registered data set, and what each declares."""

import numpy as np
import pytest
import torch

from paramrel.data import Labelled, dataset, datasets
from paramrel.data._base import SPLITS, DataSet, hashed_order, hashed_split
from paramrel.errors import Unsupported, UserError
from paramrel.rng import Rng
from tests.toys import BinnedDigits

MAX_BYTES = 1 << 26
"""Larger sets are not made here; tests/test_real_data.py (slow) does."""


def available(name: str) -> DataSet:
    data = dataset(name)
    if data.state() == "missing":
        pytest.skip(f"no files of {name} below PARAMREL_DATA")
    if data.state() == "found" and data.n_bytes > MAX_BYTES:
        pytest.skip(f"{name} is large; see tests/test_real_data.py")
    return data


@pytest.mark.parametrize("name", sorted(datasets()))
class TestContract:
    def test_declares_itself(self, name):
        data = dataset(name)
        assert data.name == name and data.title and data.source and data.licence and data.version >= 1
        assert len(data.shape) == 3 and 1 <= data.levels <= 255 and len(data.centres) == data.bins
        assert len(data.label_names) == len(data.value_names) and all(len(v) > 1 for v in data.value_names)
        assert set(data.declaration()["labels"]) == set(data.label_names)

    def test_arrays_are_as_declared(self, name):
        data = available(name)
        for split in SPLITS:
            arrays = data.load(split)
            assert arrays.images.shape == (data.size(split), *data.shape) and arrays.images.max() <= data.levels
            assert arrays.labels.dtype == np.int64
            columns = arrays.labels.reshape(len(arrays.labels), -1)
            assert columns.shape[1] == len(data.label_names) and (data.label_kind == "classes") == (
                arrays.labels.ndim == 1
            )
            for column, values in zip(columns.T, data.value_names, strict=True):
                assert set(np.unique(column)) == set(range(len(values)))

    def test_evaluation_images_are_fixed_and_values_of_the_declared_bins(self, name):
        data = available(name)
        rows = np.array([5, 0, 17, 3])
        images, labels = data.evaluation_images("test", rows)
        again, _ = data.evaluation_images("test", slice(18))
        assert np.array_equal(images, again[rows]) and len(images) == len(labels) == 4
        values = torch.from_numpy(np.unique(images)).float()
        assert torch.isin(values, data.centres).all()

    def test_attributes_are_yes_or_no(self, name):
        data = available(name)
        labels = data.load("test").labels[:100]
        found = data.attributes(labels)
        assert (found is None) == (data.label_kind == "classes")
        if found is not None:
            assert found[0].shape == (len(labels), len(found[1])) and set(np.unique(found[0])) <= {0, 1}
            assert len(set(found[1])) == len(found[1])

    def test_the_fingerprint_is_that_of_the_arrays(self, name):
        data = available(name)
        assert data.fingerprint() == DataSet.fingerprint(data)


def test_digits_are_scikit_learns_split_by_hash_without_overlap():
    from sklearn.datasets import load_digits

    data = dataset("digits")
    train, test = data.load("train"), data.load("test")
    assert len(train.labels) + len(test.labels) == 1797 and 0.17 < len(test.labels) / 1797 < 0.23
    everything = np.concatenate((train.images, test.images)).reshape(1797, 64)
    theirs = load_digits().data.astype(np.uint8)
    assert sorted(map(bytes, everything)) == sorted(map(bytes, theirs))


def test_splits_are_rules_that_never_change():
    assert np.flatnonzero(hashed_split("digits", 40, 0.2)).tolist() == [0, 1, 2, 3, 6, 8, 9, 12, 14, 26, 31]
    order = hashed_order("shapes3d", 480_000)
    assert sorted(order.tolist()) == list(range(480_000))
    assert order[:4].tolist() == [72334, 364225, 358010, 173120] and order[-2:].tolist() == [208692, 165271]


def test_dynamic_binarisation_follows_grey_values_and_the_stream():
    data = dataset("mnist_binarized")
    grey = torch.full((4000, 1, 2, 2), 51, dtype=torch.uint8)
    drawn = data.to_model(grey, Rng((0,)))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert drawn.mean().item() == pytest.approx(0.2, abs=0.01)
    assert torch.equal(drawn, data.to_model(grey, Rng((0,)))) and not torch.equal(drawn, data.to_model(grey, Rng((1,))))


def test_the_other_type_is_grey_where_methods_see_binarised_images_and_the_other_way_round():
    rows = np.array([3, 0, 7])
    digits, binarized = dataset("digits"), dataset("digits_binarized")
    assert np.array_equal(binarized.other_type("test", rows), digits.evaluation_images("test", rows)[0])
    assert np.array_equal(digits.other_type("test", rows), binarized.evaluation_images("test", rows)[0])
    binned = BinnedDigits()
    assert set(np.unique(binned.other_type("test", rows))) == {binned.centres[0].item(), binned.centres[-1].item()}
    with pytest.raises(Unsupported):
        dataset("breast_cancer_mixed").other_type("test", rows)


def test_a_threshold_binarises_without_noise():
    grey = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    black_white = dataset("mnist_thresholded").to_model(grey, Rng((0,))).flatten()
    assert black_white.tolist() == [0.0] * 128 + [1.0] * 128


@pytest.mark.parametrize(("name", "bins"), [("cifar10", 16), ("celeba", 256), ("shapes3d", 256)])
def test_colour_images_become_bin_centres(name, bins):
    grey = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    values = dataset(name).to_model(grey, Rng((0,))).flatten()
    expected = [(2 * (v * bins // 256) + 1) / (2 * bins) for v in range(256)]
    assert values.tolist() == expected and len(set(expected)) == bins


class Squares(DataSet):
    """Ten classes of 28x28 images."""

    name = "squares"
    title = "squares"
    source = "this test"
    licence = "none"
    shape = (1, 28, 28)
    levels = 255
    bins = 256
    kind = "discretised"
    class_names = tuple("0123456789")
    images = np.zeros((20, 1, 28, 28), np.uint8)
    labels = np.arange(20) % 10

    def load(self, split):
        return Labelled(self.images, self.labels)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"images": np.zeros((20, 1, 28, 28), np.float32)}, "images are float32, not uint8"),
        ({"images": np.zeros((20, 1, 32, 32), np.uint8)}, r"images are \(1, 32, 32\), not of the declared shape"),
        ({"images": np.zeros((20, 28, 28), np.uint8)}, r"images are \(28, 28\), not of the declared shape"),
        ({"images": [[1]]}, "images are a list, not uint8"),
        ({"levels": 1, "images": np.full((20, 1, 28, 28), 255, np.uint8)}, "images reach 255, but levels = 1"),
        ({"labels": np.arange(20) % 10 + 1}, r"labels of 'class' are 1..10, but its 10 values have the numbers 0..9"),
        ({"labels": np.arange(20) - 1}, r"labels of 'class' are -1..18"),
        ({"labels": np.array(list("0123456789") * 2)}, "labels are text, not whole numbers"),
        ({"labels": np.zeros(20)}, "labels are float64, not whole numbers"),
        ({"labels": np.zeros((20, 2), int)}, r"labels \(20, 2\) do not fit the 1 declared column"),
        ({"class_names": ()}, "no values of its labels are named: declare class_names"),
        ({"labels": np.arange(19) % 10}, "20 train images but 19 labels"),
        (
            {"images": np.zeros((0, 1, 28, 28), np.uint8), "labels": np.zeros(0, int)},
            "0 train images, not one at least",
        ),
        ({"size": lambda self, split: 30}, "20 train images, not 30"),
    ],
)
def test_arrays_that_are_not_as_declared_are_one_line(changed, says):
    with pytest.raises(UserError, match=f"^squares: .*{says}") as caught:
        type("Changed", (Squares,), changed)().load("train")
    assert "\n" not in str(caught.value)


def test_a_load_that_is_written_anew_is_checked_and_labels_become_int64():
    class Mine(Squares):
        def load(self, split):
            return Labelled(self.images[:5], self.labels[:5].astype(np.uint8))

    assert Mine().load("test").labels.dtype == np.int64 and Mine().size("test") == 5
    Mine.labels = Mine.labels + 9
    with pytest.raises(UserError, match="labels of 'class' are 9..13"):
        Mine().load("test")


def test_fashion_mnist_at_32_is_what_pillow_makes_of_it(monkeypatch):
    from PIL import Image

    from paramrel.data.fashionmnist_32 import FashionMnist32
    from paramrel.data.fashionmnist_binarized import FashionMnistBinarized

    small = np.random.default_rng(0).integers(0, 256, (5, 1, 28, 28), dtype=np.uint8)
    parts = [("train", small, np.arange(5)), ("test", small, np.arange(5))]
    monkeypatch.setattr(FashionMnistBinarized, "read", lambda self, form, root: iter(parts))
    read = list(FashionMnist32().read(None, None))
    assert [(split, labels.tolist()) for split, _, labels in read] == [(s, list(range(5))) for s in ("train", "test")]
    large = read[0][1]
    assert large.dtype == np.uint8 and large.shape == (5, 1, 32, 32)
    theirs = [np.array(Image.fromarray(image[0]).resize((32, 32), Image.BILINEAR)) for image in small]
    assert np.abs(large[:, 0].astype(int) - np.stack(theirs)).max() <= 1
    values = FashionMnist32().to_model(torch.from_numpy(large), Rng((0,)))
    assert set(values.unique().tolist()) <= set(FashionMnist32().centres.tolist())


def test_idx_files_are_read_as_torchvision_reads_them(tmp_path):
    from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

    from paramrel.data._idx import read_idx

    images = np.random.default_rng(0).integers(0, 256, (3, 4, 5), dtype=np.uint8)
    (tmp_path / "a.idx").write_bytes(b"\x00\x00\x08\x03" + np.array(images.shape, ">i4").tobytes() + images.tobytes())
    theirs = read_sn3_pascalvincent_tensor(str(tmp_path / "a.idx")).numpy()
    assert np.array_equal(read_idx("idx", tmp_path / "a.idx"), theirs) and np.array_equal(theirs, images)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_has_the_images_row_by_row(channels):
    from suite.show.contact_sheet import tile

    images = np.random.default_rng(0).integers(0, 256, (6, channels, 4, 5), dtype=np.uint8)
    picture = np.asarray(tile(images, 3)).reshape(8, 15, channels)
    for k, image in enumerate(images):
        top, left = 4 * (k // 3), 5 * (k % 3)
        assert np.array_equal(picture[top : top + 4, left : left + 5], image.transpose(1, 2, 0))
