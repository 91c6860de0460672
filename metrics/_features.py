"""Features of images: what a small classifier sees that is trained once per data set, from its training labels.

Filters that are not learned give one hidden layer its inputs: the image itself, pooled to some 16 x 16, and the modulus
of its first derivatives and of its Laplacian at three scales, pooled to some 8 x 8 (the first order of a scattering
network, Bruna and Mallat 2013, arXiv 1203.1513, with derivatives of Gaussians as wavelets). So grain, blur and shape
all reach the features; of a network on bare pixels noise is the blind spot.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_laplace
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from metrics._cache import in_memory, on_disk
from metrics._labels import check_discrete, columns, varying
from paramrel.errors import Unsupported

SIGMAS = (0.5, 1.0, 2.0)
"""Standard deviations of the filters in pixels."""
N_LEAST = 50
"""Images of each kind below which nothing is said of their distribution."""
N_AT_ONCE = 500
"""Images whose filters are in memory at a time."""


@dataclass(frozen=True)
class Settings:
    """What the classifier is. Raise ``version`` with whatever else here decides the features, and that of the
    metrics."""

    version: int = 1
    n_hidden: int = 32
    """Features: few, so that a covariance of some hundred images is one."""
    n_passes: int = 15
    n_images: int = 4000
    """At most so many training images."""
    n_reference: int = 2000
    """At most so many others, put aside for comparison; never more than a third."""


@in_memory
def features(probe_x: np.ndarray, probe_y: np.ndarray, made: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features of real images that the classifier has not seen (R, F), and of ``made`` (M, F), both (N, C, H, W) in [0,
    1].

    ``probe_x``, ``probe_y`` (P, ...): training images and labels, (P,) classes or (P, k) factors or attributes. A third
    of them is put aside, at random and at most 2,000; they are the real images. Features are the hidden layer before
    its nonlinearity (so that nothing is cut off), each with mean 0 and variance 1 over what the classifier was trained
    on. Raises ``Unsupported`` for images under 3 x 3, for fewer than 50 images to compare or to train on, and where
    training images or labels are all the same.
    """
    settings = Settings()
    order = np.random.default_rng(0).permutation(len(probe_x))
    n_reference = min(settings.n_reference, len(probe_x) // 3)
    aside, seen = order[:n_reference], order[n_reference:][: settings.n_images]
    if min(len(made), n_reference) < N_LEAST:
        raise Unsupported(
            f"{len(made)} images against {n_reference} training images are too few: give {N_LEAST} and {3 * N_LEAST} "
            f"or more"
        )
    if min(made.shape[2:]) < 3:
        raise Unsupported("images under 3 x 3 have no derivatives")
    if (probe_x[seen] == probe_x[seen[:1]]).all():
        raise Unsupported("the training images are all the same")
    with threadpool_limits(1):
        trained = classifier(np.ascontiguousarray(probe_x[seen]), _indicators(probe_y[seen]), settings)
        return _apply(trained, probe_x[aside]), _apply(trained, made)


@on_disk
def classifier(images: np.ndarray, targets: np.ndarray, settings: Settings) -> dict[str, np.ndarray]:
    """A perceptron of one hidden layer, as ``scales`` (B,) of the bands and the affine map ``weights`` (D, F), ``bias``
    (F,) from their responses to features."""
    first = _bands(images)
    scales = np.array([max(float(band.mean()), 1e-6) for band in first])
    bands = _scaled(first, scales)
    mean = np.concatenate([band.mean(0) for band in bands])
    spread = np.concatenate([np.full(band.shape[1], _or_one(np.sqrt(band.var(0).mean()))) for band in bands])
    x = (np.concatenate(bands, 1) - mean) / spread
    network = MLPClassifier(
        (settings.n_hidden,), alpha=0.1, batch_size=min(64, len(x)), max_iter=settings.n_passes, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of passes is the setting
        network.fit(x, targets)
    weights, bias = network.coefs_[0].astype(np.float64), network.intercepts_[0].astype(np.float64)
    hidden = x @ weights + bias
    width = _or_one(hidden.std(0))
    weights = weights / width / spread[:, None]
    return {"scales": scales, "weights": weights, "bias": (bias - hidden.mean(0)) / width - mean @ weights}


def _apply(trained: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """Features (N, F) of images."""
    bands = _scaled(_bands(images), trained["scales"])
    return np.concatenate(bands, 1) @ trained["weights"] + trained["bias"]


def _indicators(labels: np.ndarray) -> np.ndarray:
    """(P, k) labels as 0 and 1, a column for each value of each label that is not constant."""
    labels = columns(labels)
    if not len(varying(labels)):
        raise Unsupported("the training labels are constant: no classifier can be trained for its features")
    for column in varying(labels):
        check_discrete(labels[:, column], column)
    return np.concatenate([labels[:, [i]] == np.unique(labels[:, i]) for i in varying(labels)], 1).astype(int)


def _bands(images: np.ndarray) -> list[np.ndarray]:
    """Responses of every filter to images, band by band: (N, D_b) float32."""
    parts = [_filtered(part.astype(np.float32)) for part in np.array_split(images, -(-len(images) // N_AT_ONCE))]
    return [np.concatenate(band) for band in zip(*parts, strict=True)]


def _filtered(images: np.ndarray) -> list[np.ndarray]:
    """The same of images that fit into memory at once."""
    side = min(images.shape[2:])
    bands = [_pooled(images, side // 16)]
    for sigma in SIGMAS:
        sigmas = (0, 0, sigma, sigma)
        slopes = [gaussian_filter(images, sigmas, order=(0, 0, *order)) for order in ((0, 1), (1, 0))]
        bands += [_pooled(np.abs(band), side // 8) for band in (*slopes, gaussian_laplace(images, sigmas))]
    return bands


def _pooled(images: np.ndarray, cell: int) -> np.ndarray:
    """Images (N, C, H, W) smoothed and read at the middle of every cell of so many pixels: (N, D)."""
    smooth = gaussian_filter(images, (0, 0, cell / 2, cell / 2)) if cell > 1 else images
    return smooth[:, :, cell // 2 :: max(cell, 1), cell // 2 :: max(cell, 1)].reshape(len(images), -1)


def _scaled(bands: list[np.ndarray], scales: np.ndarray) -> list[np.ndarray]:
    """The image as it is; log(1 + modulus / its mean over the training images), so that strong noise is not all that
    counts."""
    return [bands[0], *(np.log1p(band / scale) for band, scale in zip(bands[1:], scales[1:], strict=True))]


def _or_one(spread: np.ndarray) -> np.ndarray:
    """Standard deviations to divide by: 1 for what does not vary."""
    return np.where(spread > 1e-6, spread, 1.0)
