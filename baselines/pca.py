"""Sanity row: principal components."""

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from paramrel.data import DataSet
from paramrel.method import Codes, NoConfig, Untrained
from paramrel.rng import Rng
from paramrel.settings import Network


class Pca(Untrained[NoConfig]):
    """The first d principal components of the training images, unscaled (d at most D).

    Of sets of over 2^28 pixels: of a random choice of the images, which depends on the seed.
    """

    name = "pca"
    title = "PCA"
    source = "sanity row; K. Pearson, 1901"
    tables = True
    mean: Tensor
    components: Tensor

    def __init__(self, data: DataSet, net: Network, config: NoConfig) -> None:
        super().__init__(data, net, config)
        self.n_components = min(net.latent_dim, data.n_dims)
        self.register_buffer("mean", torch.zeros(data.n_dims))
        self.register_buffer("components", torch.zeros(self.n_components, data.n_dims))

    def fit(self, images: np.ndarray, rng: Rng) -> None:
        flat = images.reshape(len(images), -1).astype(np.float64)
        pca = PCA(self.n_components, svd_solver="covariance_eigh").fit(flat)
        self.mean.copy_(torch.from_numpy(pca.mean_))
        self.components.copy_(torch.from_numpy(pca.components_))

    def encode(self, x: Tensor) -> Codes:
        return Codes((x.flatten(1) - self.mean) @ self.components.T)

    def decode(self, z: Tensor) -> Tensor:
        return (z @ self.components + self.mean).reshape(-1, *self.data.shape).clamp(0, 1)
