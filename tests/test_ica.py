"""ICA as a sanity row: it finds the sources of a mixture, and keeps what PCA keeps."""

import numpy as np
import pytest
import torch

from baselines.ica import Ica
from baselines.pca import Pca
from paramrel.data import dataset
from paramrel.method import NoConfig
from paramrel.rng import Rng
from paramrel.settings import Network

RNG = Rng((0, "ica"))


def fitted(cls: type, images: np.ndarray, d: int, rng: Rng = RNG):
    net = Network(channels=4, multipliers=(1,), groups=2, latent_dim=d)
    built = cls(dataset("digits"), net, NoConfig())
    built.fit(images, rng)
    return built


def mixtures(n: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three independent sources, uniform, binary and Laplacian, of unit variance, (n, 3), and images of 8x8 mixed from
    them with directions that are neither orthogonal nor of equal length."""
    rng = np.random.default_rng(seed)
    sources = np.stack((rng.uniform(-1, 1, n) * 3**0.5, rng.choice([-1.0, 1.0], n), rng.laplace(size=n) / 2**0.5), 1)
    mixing = rng.normal(size=(3, 64)) * [[0.02], [0.01], [0.03]]
    mixing[1] += mixing[0] / 2
    return sources, (0.5 + sources @ mixing).reshape(n, 1, 8, 8).astype(np.float32)


def test_it_finds_sources_that_pca_does_not():
    sources, images = mixtures()
    matched = {}
    for cls in (Ica, Pca):
        z = fitted(cls, images, 3).encode(torch.from_numpy(images)).mean.numpy()
        correlation = np.abs(np.corrcoef(z.T, sources.T)[:3, 3:])
        matched[cls] = correlation.max(0).min()
        assert cls is Pca or sorted(correlation.argmax(0)) == [0, 1, 2], "a component for each source"
    assert matched[Ica] > 0.98 > matched[Pca]


def test_components_have_variance_1_and_keep_what_pca_keeps():
    images = dataset("digits").evaluation_images("train")[0]
    x = torch.from_numpy(images)
    ica, pca = (fitted(cls, images, 10) for cls in (Ica, Pca))
    z = ica.encode(x).mean
    assert np.cov(z.numpy().T) == pytest.approx(np.eye(10), abs=0.02)
    assert torch.allclose(ica.decode(z), pca.decode(pca.encode(x).mean), atol=1e-4)


def test_the_stream_decides_and_nothing_else():
    images = dataset("digits").evaluation_images("train")[0][:500]
    first, again, other = (fitted(Ica, images, 8, rng) for rng in (RNG, RNG, RNG.at("other")))
    assert torch.equal(first.unmixing, again.unmixing) and not torch.equal(first.unmixing, other.unmixing)


def test_images_of_fewer_dimensions_leave_codes_at_0():
    _, images = mixtures()
    z = fitted(Ica, images.astype(np.float64), 6).encode(torch.from_numpy(images)).mean
    assert torch.isfinite(z).all() and (z.std(0) > 0.5).sum() == 3 and (z[:, 3:] == 0).all()
