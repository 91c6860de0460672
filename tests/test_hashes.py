"""New options leave old results alone: a cell's hash knows a later field only where it differs from its default."""

import pandas as pd
import pytest

from paramrel.data import dataset
from paramrel.errors import UserError
from paramrel.method import method, methods
from paramrel.settings import Frozen, Network, Train
from suite.graph.cells import Cell, make_cell
from suite.graph.config import load, parse, resolve
from tests.conftest import ROOT, TINY_PRESET

PARAMS = load(ROOT / "params.yaml")
COMMITTED = sorted(path.parent.name for path in (ROOT / "results").glob("*/rows.csv"))
NAMED = ["dataset", "method", "variant", "seed"]


def committed(preset: str) -> pd.DataFrame:
    """The cells of a preset's rows, but for methods that skip the data set."""
    rows = pd.read_csv(ROOT / "results" / preset / "rows.csv", usecols=[*NAMED, "cell"]).drop_duplicates()
    return rows.dropna(subset=["cell"])


@pytest.mark.parametrize("preset", COMMITTED)
def test_committed_rows_have_one_cell_each(preset):
    rows = committed(preset)
    assert len(rows) == len(rows[NAMED].drop_duplicates()) > 0


@pytest.mark.parametrize(
    ("preset", "name"), [(preset, name) for preset in COMMITTED for name in committed(preset).dataset.unique()]
)
def test_the_committed_results_are_those_of_their_presets_cells(preset, name):
    try:
        dataset(name).size("train")  # steps of an epoch; some data sets must be there to know it
    except UserError as missing:
        pytest.skip(str(missing))
    rows = committed(preset)
    rows = rows[rows.dataset == name]
    chosen = resolve(PARAMS, preset)
    stale = {
        str(cell): cell.hash
        for *named, was in rows.itertuples(index=False)
        if (cell := make_cell(chosen, *named)).hash != was
    }
    assert not stale, "results/ are of other code or another configuration: a default changed, or they must be remade"


def cell(network: dict, settings: dict) -> Cell:
    """A cell of ParamReL_d in the tiny preset, with further settings of network and method."""
    variants = {"ahead": {"z_source": "ahead", "theta_dropout": 0.2} | settings}
    written = {"network": TINY_PRESET["network"] | network, "per_method": {"paramrel_d": {"variants": variants}}}
    preset = resolve(parse({"preset": "t", "presets": {"t": TINY_PRESET | written}}, "params"), "t")
    return make_cell(preset, "digits_binarized", "paramrel_d", "ahead", 0)


OTHER = {
    "unshuffle": 2,
    "head_channels": 4,
    "conditioning": "tokens",
    "token_dim": 16,
    "token_heads": 2,
    "token_levels": [0],
    "token_transformer": True,
    "dropped_weight": 3.0,
    "posterior": "point",
    "times": "ddpm",
    "update": "last_sample",
    "n_updates": 10,
    "times_centre": 0.2,
    "times_width": 1.0,
    "times_uniform": 0.0,
    "precondition": "spectrum",
    "estimate": "both",
}
"""Another value for every later field."""


def later_fields(model: type[Frozen]) -> set[str]:
    return {name for cls in model.__mro__ for name in vars(cls).get("later", ())}


def test_a_later_field_counts_only_where_it_differs():
    base = cell({}, {})
    found = set()
    for model in (Network, Train, method("paramrel_d").Config):
        for name in later_fields(model):
            default = model.model_fields[name].default
            for value, same in ((default, True), (OTHER[name], False)):
                changed = cell({name: value}, {}) if model is Network else cell({}, {name: value})
                part = changed.resolved["network" if model is Network else "config"]
                assert (changed.hash == base.hash) == same and (name in part) != same, (name, value)
            found.add(name)
    assert found == set(OTHER)


def test_every_later_field_is_a_field_and_old_fields_are_always_recorded():
    for model in (Network, Train, *(cls.Config for cls in methods().values())):
        assert later_fields(model) <= set(model.model_fields)
        assert set(model().recorded()) == set(model.model_fields) - later_fields(model)


def test_a_variant_may_have_a_network_and_a_training_of_its_own():
    variants = {
        "plain": {"z_source": "ahead"},
        "wide": {"z_source": "ahead", "network": {"latent_dim": 5}, "train": {"steps": 7}},
    }
    preset = resolve(
        parse(
            {"preset": "t", "presets": {"t": TINY_PRESET | {"per_method": {"paramrel_d": {"variants": variants}}}}}, "p"
        ),
        "t",
    )
    plain, wide = (make_cell(preset, "digits_binarized", "paramrel_d", name, 0) for name in variants)
    assert (plain.network.latent_dim, wide.network.latent_dim) == (8, 5) and wide.network.channels == 4
    assert (plain.train.steps, wide.train.steps) == (12, 7) and wide.train.batch_size == 16
    assert plain.config == wide.config
