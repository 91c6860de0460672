"""The page on parameter counts says what the networks have."""

from benchmarks.parameters import PARAMS, count, tables
from suite.graph.cells import make_cell
from suite.graph.config import load, resolve
from tests.conftest import ROOT


def test_the_page_shows_what_the_command_prints():
    page = (ROOT / "docs/parameters.md").read_text()
    missing = [line for line in tables().splitlines() if line not in page]
    assert not missing, "\n".join(["run python -m benchmarks.parameters and copy:", *missing])


def test_the_page_gives_the_factors_to_table_4():
    page = (ROOT / "docs/parameters.md").read_text()
    parts = count(make_cell(resolve(load(PARAMS), "paper"), "celeba", "paramrel_c", "ahead", 0))
    encoder, decoder = 245.41e6 / 4 / parts["encoder"], 324.31e6 / 4 / parts["decoder"]
    assert f"{encoder:.1f} for the encoder and {decoder:.1f} for the decoder" in page
    prior = count(make_cell(resolve(load(PARAMS), "paper"), "celeba", "info_diffusion", "default", 0))["prior"]
    assert f"({prior / 1e6:.2f} M on CelebA)" in page
