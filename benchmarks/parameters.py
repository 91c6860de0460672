"""Parameters of the paper's networks beside its Table 4: ``python -m benchmarks.parameters`` (docs/parameters.md).

Networks are those of preset ``paper`` (widths of Table 5), and of preset ``tokens``, counted without data and without
allocating a weight.
"""

from pathlib import Path

import torch

from paramrel.data import dataset
from paramrel.method import method
from paramrel.networks import budget, n_parameters
from suite.graph.cells import Cell, make_cell
from suite.graph.config import load, resolve
from suite.show.tables import label

PARAMS = Path(__file__).resolve().parent.parent / "params.yaml"
ROWS = (
    ("celeba", "paramrel_c", "ahead"),
    ("celeba", "info_diffusion", "default"),
    ("shapes3d", "paramrel_c", "ahead"),
    ("shapes3d", "info_diffusion", "default"),
    ("cifar10", "paramrel_c", "ahead"),
    ("cifar10", "info_diffusion", "default"),
    ("mnist_binarized", "paramrel_d", "ahead"),
    ("mnist_binarized", "info_diffusion", "default"),
)
TABLE_4 = {("celeba", "paramrel_c"): (245.41, 324.31), ("celeba", "info_diffusion"): (143.89, 200.18)}
"""MB of encoder and decoder (arXiv 2405.15268, Table 4)."""
WIDTHS = (64, 128, 192, 256)
"""Channels of the first level in the second table; Table 5 has 64 for CelebA."""
TOKEN_ROWS = (
    ("paramrel_c", "adagn_20"), ("paramrel_c", "tokens_20"), ("paramrel_c", "tokens_10"),
    ("diffae", "adagn"), ("diffae", "tokens"), ("info_diffusion", "tokens"), ("encdiff", "default"),
)  # fmt: skip
"""Rows of preset ``tokens``."""


def count(cell: Cell, **network: object) -> dict[str, int]:
    """Parameters of each part of a cell's method, by name; ``network`` replaces settings."""
    with torch.device("meta"):
        built = method(cell.method)(dataset(cell.dataset), cell.network.model_copy(update=network), cell.config)
    return {name: n_parameters(part) for name, part in built.named_children()}


def megabytes(n: int) -> float:
    """10^6 bytes of n float32 numbers."""
    return 4 * n / 1e6


def tables() -> str:
    """The tables in Markdown."""
    preset = resolve(load(PARAMS), "paper")
    lines = [
        "| data set | method | channels | encoder, M | decoder, M | encoder, MB | Table 4 | decoder, MB | Table 4 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for data, name, variant in ROWS:
        cell = make_cell(preset, data, name, variant, 0)
        parts = count(cell)
        encoder, decoder = parts["encoder"], parts["decoder"]
        paper = [f"{value:.2f}" for value in TABLE_4.get((data, name), ())] or ["–", "–"]
        widths = f"{cell.network.channels} x {list(cell.network.multipliers)}"
        lines.append(
            f"| {data} | {method(name).title} | {widths} | {encoder / 1e6:.2f} | {decoder / 1e6:.2f} "
            f"| {megabytes(encoder):.2f} | {paper[0]} | {megabytes(decoder):.2f} | {paper[1]} |"
        )
    cell = make_cell(preset, "celeba", "paramrel_c", "ahead", 0)
    lines += ["", "| channels, CelebA, ParamReL_c | encoder, MB | decoder, MB |", "| --- | --- | --- |"]
    for channels in WIDTHS:
        parts = count(cell, channels=channels)
        lines.append(f"| {channels} | {megabytes(parts['encoder']):.1f} | {megabytes(parts['decoder']):.1f} |")
    return "\n".join([*lines, "", *token_table()])


def token_table() -> list[str]:
    """Concept tokens beside AdaGN: everything that a method trains, and its share of ParamReL's with AdaGN."""
    preset = resolve(load(PARAMS), "tokens")
    lines = ["| preset `tokens` | latents | encoder, M | decoder, M | all, M | all, share |", "| --- " * 6 + "|"]
    for name, variant in TOKEN_ROWS:
        cell = make_cell(preset, preset.datasets[0], name, variant, 0)
        parts, net = count(cell), cell.network.model_copy(update={"conditioning": "adagn"})
        share = sum(parts.values()) / budget(dataset(cell.dataset).shape, net)
        lines.append(
            f"| {label(name, variant)} | {net.latent_dim} | {parts['encoder'] / 1e6:.2f} | "
            f"{parts['decoder'] / 1e6:.2f} "
            f"| {sum(parts.values()) / 1e6:.2f} | {share:.2f} |"
        )
    return lines


if __name__ == "__main__":
    print(tables())
