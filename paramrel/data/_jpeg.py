"""Decoding image files."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from paramrel.errors import UserError


def decode(name: str, what: str | Path, raw: bytes | Path) -> Image.Image:
    """An RGB image from a file or its bytes. Raises ``UserError`` naming ``what`` if it is truncated or no image."""
    try:
        with Image.open(io.BytesIO(raw) if isinstance(raw, bytes) else raw) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{name}: {what} is damaged or no image ({error}): replace it") from error


def channels_first(image: Image.Image) -> np.ndarray:
    """uint8 (3, H, W)."""
    return np.asarray(image).transpose(2, 0, 1)
