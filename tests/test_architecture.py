"""docs/architecture.md lists every layer of the networks as they are built."""

import pytest
import torch

from docs.tools import architecture
from suite.graph.cells import make_cell
from suite.graph.config import load, parse, resolve
from tests.conftest import ROOT, TINY_PRESET


@pytest.fixture(scope="module")
def listed():
    """What docs/architecture.md lists."""
    paper = resolve(load(ROOT / "params.yaml"), "paper")
    cell = make_cell(paper, "fashionmnist_binarized", "paramrel_d", "ahead", 0)
    return architecture.networks(cell, "preset `paper`, Fashion-MNIST"), cell


def test_a_table_has_every_layer_of_the_network(listed):
    chosen, cell = listed
    with torch.device("meta"):
        model = cell.build()
    for found, network, entering in (
        (chosen.unet, model.decoder, ("u", "z")),
        (chosen.encoders["progressive"], model.encoder, ("u",)),
    ):
        held = {layer.name for layer in found}
        assert len(held) == len(found), "a layer was called twice"
        outside = [
            name
            for name, part in network.named_modules()
            if not list(part.children())
            and any(True for _ in part.parameters())
            and not any(name == layer or name.startswith(f"{layer}.") for layer in held)
        ]
        assert all(name.startswith("condition.") or name == "norm" for name in outside), outside
        blocks = [layer for layer in found if layer.kind == "ResBlock"]
        assert blocks and all(layer.enters == entering for layer in blocks)
        assert [layer.kind for layer in found].count("Attention") == 1, "attention in the bottleneck only"
        assert all(not layer.enters for layer in found if layer.kind != "ResBlock")
    assert not any(layer.enters for layer in chosen.encoders["vanilla"])
    assert chosen.encoders["progressive"][-1].shape == (2 * cell.network.latent_dim,)
    assert [layer.size for layer in chosen.unet if layer.name.startswith("middle")] == ["7x7"] * 3


def test_z_enters_where_tokens_are_read():
    tokens = {"paramrel_d": {"variants": {"tokens": {"network": {"conditioning": "tokens", "token_levels": [1]}}}}}
    preset = resolve(parse({"preset": "t", "presets": {"t": TINY_PRESET | {"per_method": tokens}}}, "p"), "t")
    unet = architecture.networks(make_cell(preset, "digits_binarized", "paramrel_d", "tokens", 0), "tokens").unet
    reading = [layer for layer in unet if layer.kind == "ReadingBlock"]
    assert reading and all(layer.enters == ("u", "z") for layer in reading)
    assert {layer.enters for layer in unet if layer.kind == "ResBlock"} == {("u",)}, (
        "the top level reads no tokens here"
    )


def test_a_head_stands_at_full_size():
    network = TINY_PRESET["network"] | {"unshuffle": 2, "head_channels": 3}
    preset = resolve(parse({"preset": "t", "presets": {"t": TINY_PRESET | {"network": network}}}, "p"), "t")
    chosen = architecture.networks(make_cell(preset, "digits_binarized", "paramrel_d", "ahead", 0), "head")
    assert [layer.size for layer in chosen.unet if layer.name.startswith("head")] == ["8x8"] * 2


def test_the_tables_in_the_docs_are_of_this_code(listed):
    committed = (ROOT / "docs/architecture.md").read_text()
    assert architecture.tables(listed[0]) in committed, "python -m docs.tools.architecture prints them"
