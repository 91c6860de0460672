"""Codes as features: a scikit-learn transformer around ``train`` and ``Model``."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from paramrel.api.model import Model, train
from paramrel.api.sources import images
from paramrel.data._own import FEWEST

FLOATS = (np.float64, np.float32)


class CodeTransformer(TransformerMixin, BaseEstimator):
    """Learns codes of the rows of X (N, features) and gives them as features, for pipelines and cross-validation.

    ``image_shape`` (H, W) or (H, W, C) says that rows are flattened images, of 0..255, or [0, 1] if no value is above
    1. Without it a row is an image of one line, and each feature is scaled to [0, 1] by its least and greatest training
    value. ``settings`` are those of ``paramrel.train``. ``inverse_transform`` decodes codes into the space of X.
    """

    def __init__(
        self,
        method: str = "vae",
        variant: str | None = None,
        steps: int = 500,
        seed: int = 0,
        image_shape: tuple[int, ...] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.method = method
        self.variant = variant
        self.steps = steps
        self.seed = seed
        self.image_shape = image_shape
        self.settings = settings

    def fit(self, X: np.ndarray, y: object = None) -> "CodeTransformer":
        """Train on the rows of X; y is not used."""
        values = validate_data(self, X, dtype=FLOATS, ensure_min_samples=FEWEST)
        if self.image_shape is None:
            self.low_, self.width_ = values.min(0), np.ptp(values, axis=0)
        else:
            top = 255.0 if values.max() > 1 else 1.0
            self.low_, self.width_ = np.zeros(values.shape[1]), np.full(values.shape[1], top)
        found = images(self._as_images(values), name="rows", test=0.0, layout="NHWC")
        self.model_: Model = train(
            self.method, found, variant=self.variant, steps=self.steps, seed=self.seed, **(self.settings or {})
        )
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Codes (N, d)."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype=FLOATS, reset=False)
        return self.model_.encode(self._as_images(values)).astype(values.dtype)

    def inverse_transform(self, Z: np.ndarray) -> np.ndarray:
        """Rows (N, features) decoded from codes alone."""
        check_is_fitted(self)
        decoded = self.model_.decode(np.asarray(Z)).reshape(len(Z), -1).astype(np.float64)
        return self.low_ + decoded * self.width_

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """z0, z1, ..."""
        check_is_fitted(self)
        return np.array([f"z{i}" for i in range(len(self.model_.z_mean))], dtype=object)

    def _as_images(self, values: np.ndarray) -> np.ndarray:
        """Rows as images (N, H, W, C) in [0, 1]; what lies outside of the training range is cut off."""
        scaled = ((values - self.low_) / np.where(self.width_ > 0, self.width_, 1)).clip(0, 1)
        shape = (1, values.shape[1], 1) if self.image_shape is None else tuple(self.image_shape)
        return scaled.reshape(len(values), *shape, *([1] if len(shape) == 2 else []))
