"""Sanity row: independent components."""

import numpy as np
import torch
from sklearn.decomposition import PCA, FastICA
from torch import Tensor

from paramrel.data import DataSet
from paramrel.method import Codes, NoConfig, Untrained
from paramrel.rng import Rng, derive_seed
from paramrel.settings import Network

SMALLEST = 1e-10
"""Principal components with a smaller share of the largest one's variance are rounding, and are left out."""
MAX_ITERATIONS = 1000


class Ica(Untrained[NoConfig]):
    """d independent components of the training images, of variance 1 there, in the order and sign that FastICA leaves.

    FastICA (parallel, log cosh) on the first d principal components, whitened. Fewer where the images have fewer: the
    other codes are 0.
    """

    name = "ica"
    title = "ICA"
    source = "sanity row; A. Hyvärinen, IEEE Transactions on Neural Networks 10 (1999)"
    tables = True
    mean: Tensor
    unmixing: Tensor
    mixing: Tensor

    def __init__(self, data: DataSet, net: Network, config: NoConfig) -> None:
        super().__init__(data, net, config)
        self.n_components = min(net.latent_dim, data.n_dims)
        self.register_buffer("mean", torch.zeros(data.n_dims))
        self.register_buffer("unmixing", torch.zeros(self.n_components, data.n_dims))
        self.register_buffer("mixing", torch.zeros(data.n_dims, self.n_components))

    def fit(self, images: np.ndarray, rng: Rng) -> None:
        flat = images.reshape(len(images), -1).astype(np.float64)
        pca = PCA(self.n_components, svd_solver="covariance_eigh").fit(flat)
        n = int((pca.explained_variance_ > SMALLEST * pca.explained_variance_[0]).sum())
        std = np.sqrt(pca.explained_variance_[:n, None])
        white = (flat - pca.mean_) @ (pca.components_[:n] / std).T
        seed = derive_seed(*rng.key, "ica") % 2**32
        rotation = FastICA(whiten=False, random_state=seed, max_iter=MAX_ITERATIONS).fit(white).components_
        self.mean.copy_(torch.from_numpy(pca.mean_))
        self.unmixing[:n] = torch.from_numpy(rotation @ (pca.components_[:n] / std))
        self.mixing[:, :n] = torch.from_numpy((pca.components_[:n] * std).T @ rotation.T)

    def encode(self, x: Tensor) -> Codes:
        return Codes((x.flatten(1) - self.mean) @ self.unmixing.T)

    def decode(self, z: Tensor) -> Tensor:
        return (z @ self.mixing.T + self.mean).reshape(-1, *self.data.shape).clamp(0, 1)
