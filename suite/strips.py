"""Rows of images with labels, and the flow picture: what several figures and commands draw."""

import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

Strip = tuple[str, str, np.ndarray | str]
"""A row: whose it is, what it shows, images (n, C, H, W) in [0, 1] or the reason why there are none."""

N_LINES = 8
"""Paths of a flow that are drawn as lines."""


def strips_figure(strips: list[Strip]) -> Figure:
    """The rows, one below the other."""
    figure, axes = plt.subplots(len(strips), 1, figsize=(7.2, 0.33 * len(strips)), squeeze=False)
    for axis, (head, text, images) in zip(axes[:, 0], strips, strict=True):
        _strip(axis, images)
        axis.text(-0.01, 0.5, text, transform=axis.transAxes, ha="right", va="center", fontsize=7)
        axis.text(1.01, 0.5, head, transform=axis.transAxes, ha="left", va="center", fontsize=6, weight="bold")
    figure.subplots_adjust(left=0.23, right=0.74, top=0.99, bottom=0.01, hspace=0.06)
    return figure


def draw_flow(axis: plt.Axes, arrays: dict[str, np.ndarray], title: str) -> None:
    """Density of ``flow_paths`` (T + 1, n), scaled at each flow time, with some paths as lines.

    A line's colour is its pixel's value, dark for 0 and bright for 1.
    """
    paths, values = arrays["flow_paths"], arrays["flow_x"]
    times = np.linspace(0, 1, len(paths))
    low, high = np.quantile(paths, (0.002, 0.998))
    edges = np.linspace(low, high, 61)
    density = np.stack([np.histogram(np.clip(at, low, high), edges)[0] for at in paths], 1)
    axis.imshow(
        np.sqrt(density / density.max(0)),
        origin="lower",
        aspect="auto",
        extent=(0, 1, low, high),
        cmap="Greys",
        interpolation="nearest",
    )
    for path, value in zip(paths.T[:N_LINES], values[:N_LINES], strict=True):
        axis.plot(times, np.clip(path, low, high), lw=0.8, color=plt.get_cmap("viridis")(float(value)))
    axis.set_title(title, fontsize=7)
    axis.set_xlabel("flow time u", fontsize=7)
    axis.set_ylabel("theta, as the networks see it", fontsize=7)
    axis.tick_params(labelsize=6)


def nothing(reason: str) -> Figure:
    """A figure that says why it is empty."""
    figure = plt.figure(figsize=(4, 0.6))
    figure.text(0.5, 0.5, f"nothing to show: {reason}", ha="center", va="center", fontsize=8)
    return figure


def folded(images: np.ndarray) -> np.ndarray:
    """Images as they are; rows of a table (N, C, 1, 1) as a square of C grey values, column after column."""
    n, n_columns, *side = images.shape
    if side != [1, 1]:
        return images
    width = math.isqrt(n_columns - 1) + 1
    height = -(-n_columns // width)
    squares = np.full((n, height * width), 0.5, np.float32)
    squares[:, :n_columns] = images[:, :, 0, 0]
    return squares.reshape(n, 1, height, width)


def padded(images: np.ndarray) -> np.ndarray:
    """(N, C, H, W) to (N, H + 1, W + 1, C) with a grey line between images."""
    channels_last = folded(images).astype(np.float32).transpose(0, 2, 3, 1)
    return np.pad(channels_last, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=0.5)


def _strip(axis: plt.Axes, images: np.ndarray | str) -> None:
    """Images side by side, or the reason why there are none."""
    axis.set_axis_off()
    axis.set_anchor("W")
    if isinstance(images, str):
        axis.text(0, 0.5, images, transform=axis.transAxes, ha="left", va="center", fontsize=6)
        return
    show(axis, np.concatenate(list(padded(images)), axis=1))


def show(axis: plt.Axes, image: np.ndarray) -> None:
    """An image (H, W, 1 or 3) in [0, 1], without smoothing."""
    axis.imshow(
        image.squeeze(-1) if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=1, interpolation="nearest"
    )
