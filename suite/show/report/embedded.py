"""Pictures inside the page, as data URIs: figures as WebP, frames of the explorer as one sprite."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Quality:
    """How large pictures may be."""

    width: int
    """Of a figure, in pixels."""
    lossless: bool
    """Whether a figure keeps its colours exactly."""
    n_sources: int
    """Images of a method in the explorer."""
    side: int
    """Of a frame of the explorer, in pixels."""


QUALITIES = (
    Quality(2400, True, 2, 64),
    Quality(1200, False, 2, 32),
    Quality(800, False, 1, 32),
    Quality(600, False, 1, 16),
)
"""Tried in this order until the page is small enough. (Shrunk pictures of whole pixels are larger when lossless.)"""


@dataclass(frozen=True)
class Picture:
    """A data URI and its size in pixels."""

    uri: str
    width: int
    height: int


def figure(path: Path, quality: Quality) -> Picture:
    """A figure's file as WebP, smaller if it is wide."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    if image.width > quality.width:
        size = (quality.width, round(image.height * quality.width / image.width))
        image = image.resize(size, Image.Resampling.LANCZOS)
    if quality.lossless:
        return Picture(_uri(image, "webp", lossless=True, quality=50, method=4), *image.size)
    return Picture(_uri(image, "webp", quality=75, method=4), *image.size)


def sprite(frames: np.ndarray, n_columns: int, quality: Quality) -> Picture:
    """Frames (n, C, H, W) of bytes side by side, row by row: grey ones in 16 levels, coloured ones as WebP."""
    n, channels, height, width = frames.shape
    n_rows = -(-n // n_columns)
    sheet = np.zeros((n_rows * n_columns, channels, height, width), np.uint8)
    sheet[:n] = frames
    sheet = sheet.reshape(n_rows, n_columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    sheet = sheet.reshape(n_rows * height, n_columns * width, channels)
    shrink = -(-max(height, width) // quality.side)
    if channels == 1:
        image = Image.fromarray(np.ascontiguousarray(sheet[:, :, 0]))
        image = image.reduce(shrink) if shrink > 1 else image
        levels = Image.fromarray(np.rint(np.asarray(image) / 17).astype(np.uint8), "P")
        levels.putpalette([level * 17 for level in range(16) for _ in range(3)])
        return Picture(_uri(levels, "png", optimize=True, bits=4), *levels.size)
    image = Image.fromarray(sheet)
    image = image.reduce(shrink) if shrink > 1 else image
    return Picture(_uri(image, "webp", quality=70, method=6), *image.size)


def _uri(image: Image.Image, kind: str, **options: int | bool) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
