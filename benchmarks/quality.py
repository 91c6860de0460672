"""What metrics of quality say of real images that are spoiled on purpose: ``python -m benchmarks.quality [DATA SET
...]``.

Prints the table of docs/metrics.md. Spoiled images are held-out ones in the place of samples; noise and blur are the
same in every run. Printed, never asserted.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.ndimage import gaussian_filter

from metrics import keep_in, metric
from metrics._images import noise_like
from paramrel.data import dataset

COLUMNS = ("speckle", "frechet", "coverage", "density")
SETS = {"mnist_binarized": (400, 1500), "fashionmnist_32": (400, 1500), "celeba_subset_32": (500, 5000)}
"""Held-out and training images."""


def grainy(images: np.ndarray, std: float) -> np.ndarray:
    """With Gaussian noise."""
    return (images + std * np.random.default_rng(1).normal(size=images.shape)).clip(0, 1)


def flipped(images: np.ndarray, share: float) -> np.ndarray:
    """Binary images with a share of pixels wrong."""
    return np.where(np.random.default_rng(1).random(images.shape) < share, 1 - images, images)


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    """Under a Gaussian of sigma pixels."""
    return gaussian_filter(images.astype(np.float32), (0, 0, sigma, sigma))


def spoilers(binary: bool) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What is done to images, by its name."""
    wrong = {f"{share:.0%} of pixels wrong": partial(flipped, share=share) for share in (0.01, 0.05, 0.15)}
    grain = {f"noise of std {std:g}": partial(grainy, std=std) for std in (0.02, 0.05, 0.1)}
    blur = {f"blur of sigma {sigma:g}": partial(blurred, sigma=sigma) for sigma in (0.6, 1, 2)}
    rest = {"one image repeated": lambda x: x[:1].repeat(len(x), 0), "noise alone": noise_like}
    return {"real": lambda x: x} | (wrong if binary else grain) | blur | rest


def main(names: list[str]) -> None:
    print(f"| images | what | {' | '.join(f'`{name}`' for name in COLUMNS)} |")
    print("| --- " * (2 + len(COLUMNS)) + "|")
    for name in names or SETS:
        data, (n, n_probe) = dataset(name), SETS.get(name, (400, 1500))
        draw = np.random.default_rng(0).permutation
        x, _ = data.evaluation_images("test", draw(data.size("test"))[:n])
        probe_x, probe_y = data.evaluation_images("train", draw(data.size("train"))[:n_probe])
        for what, spoil in spoilers(data.binary).items():
            case = {"x_test": x, "sampled": spoil(x), "probe_x": probe_x, "probe_y": probe_y}
            values = [metric(column)(case).value for column in COLUMNS]
            print(f"| {data.title} | {what} | {' | '.join(f'{value:.3f}' for value in values)} |", flush=True)


if __name__ == "__main__":
    with TemporaryDirectory() as folder, keep_in(Path(folder)):
        main(sys.argv[1:])
