"""A Bayesian flow without a code: ParamReL's flow and decoder, a likelihood and samples, and reasons for the rest."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from paramrel.data import dataset, datasets
from paramrel.errors import Unsupported
from paramrel.method import method
from paramrel.networks import n_parameters
from paramrel.rng import Rng
from suite.commands.main import train
from suite.graph.cells import cells, explored
from suite.graph.config import load, resolve
from suite.graph.names import metric_names
from suite.graph.plan import Plan
from suite.graph.results import FIGURE_NAMES
from suite.measure.encode import encode
from suite.measure.evaluate import evaluate_to, read_codes
from suite.measure.rows import collect
from suite.show.figures import FIGURES, save
from suite.show.tables import TABLES, write_table
from tests.conftest import TINY_PRESET
from tests.toys import BinnedDigits, build, images

RNG = Rng((0, "bfn"))
DATA = {"bfn_d": dataset("digits_binarized"), "bfn_c": dataset("digits"), "bfn_discretised": BinnedDigits()}
every_kind = pytest.mark.parametrize("name", DATA)


@every_kind
class TestEveryKind:
    def test_it_runs_where_paramrel_runs(self, name):
        theirs = method(name.replace("bfn", "paramrel"))
        for cls in datasets().values():
            reasons = method(name).skip(cls()), theirs.skip(cls())
            assert (reasons[0] is None) == (reasons[1] is None)
            if cls.kind != "mixed":
                assert reasons[0] == (reasons[1] and reasons[1].replace("paramrel", "bfn"))

    def test_flow_and_decoder_are_paramrels(self, name):
        ours, theirs = build(name, DATA[name]), build(name.replace("bfn", "paramrel"), DATA[name])
        assert ours.flow == theirs.flow and n_parameters(ours) == n_parameters(theirs.decoder)
        names = {key for key, _ in ours.decoder.named_parameters()}
        assert names == {key for key, _ in theirs.decoder.named_parameters()}

    @pytest.mark.parametrize("times", ["uniform", "edm"])
    def test_the_loss_is_the_flows_with_zeros_for_a_code(self, name, times):
        built, x = build(name, DATA[name], times=times), images(DATA[name], 16)
        flow, u = built.flow, RNG.stratified("u", 16)
        u = u if times == "uniform" else built.times.draw(u)
        values = flow.to_flow(x)
        output = built._output(flow.sample(values, u, RNG.at("theta")), u, torch.zeros(16, 8))
        if times == "uniform":
            nats = flow.loss(values, output, u).flatten(1).sum(1).mean()
        else:
            nats = ((1 + flow.beta(u)) * flow.squared_error(values, output).flatten(1).sum(1)).mean()
        terms = built.loss(x, RNG)
        assert set(terms.reported) == {"flow" if times == "uniform" else "v"}
        assert terms.total.item() == pytest.approx(nats.item() / DATA[name].n_dims, rel=1e-5)

    @pytest.mark.parametrize("settings", [{}, {"precondition": "spectrum", "estimate": "both"}], ids=["plain", "model"])
    def test_it_has_a_likelihood_and_samples(self, name, settings):
        built, x = build(name, DATA[name], **settings), images(DATA[name], 6)
        built.fit(DATA[name].evaluation_images("train")[0], RNG)
        with torch.no_grad():
            nll, made = built.nll(x, RNG), built.sample(4, RNG, 3)
            assert (nll.kl == 0).all() and torch.isfinite(nll.data).all() and (nll.data > 0).all()
            assert made.shape == (4, 1, 8, 8) and made.min() >= 0 and made.max() <= 1
            assert torch.equal(made, built.sample(4, RNG, 3))
            assert built.paths(x, 3, RNG).shape[:2] == (4, 6)

    def test_what_needs_a_code_says_that_there_is_none(self, name):
        built, x = build(name, DATA[name]), images(DATA[name], 4)
        z = torch.zeros(4, 8)
        for use in (
            lambda: built.encode(x),
            lambda: built.encode_at(x, 0.5, RNG),
            lambda: built.decode(z),
            lambda: built.reconstruct(x, z),
            lambda: built.generate(z, RNG, 2),
            lambda: built.attention(x, RNG),
            lambda: built.decoder_loss(x, lambda z: z, RNG),
        ):
            with pytest.raises(Unsupported, match="it has no code"):
                use()
        assert built.subcode_shape is None and built.no_subcode == "it has no code"


MEASURED = ("accuracy", "auroc", "bits_per_dim", "permuted_ratio", "active_units", "mse_from_code")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """ParamReL_d and the flow without a code, trained, encoded and measured: the preset, its plan, its folder."""
    folder, before = tmp_path_factory.mktemp("bfn"), Path.cwd()
    os.chdir(folder)
    preset = TINY_PRESET | {"seeds": [0], "methods": ["paramrel_d", "bfn_d"]}
    preset["evaluate"] = preset["evaluate"] | {"metrics": list(MEASURED)}
    preset["per_method"] = {"paramrel_d": {"variants": {"ahead": {}}}}
    (folder / "params.yaml").write_text(yaml.safe_dump({"preset": "tiny", "presets": {"tiny": preset}}))
    plan, chosen = Plan.read({}), resolve(load(folder / "params.yaml"), "tiny")
    for cell in cells(chosen):
        train(dataset=cell.dataset, method=cell.method, variant=cell.variant, seed=cell.seed)
        codes = encode(cell, chosen.evaluate, chosen.runtime, folder / "runs" / cell.path)
        evaluate_to(codes, metric_names(chosen.evaluate), 0, folder / "runs" / cell.path / plan.metrics)
    for path in plan.controls():
        control = (folder / path).parent / plan.codes
        evaluate_to(control, metric_names(chosen.evaluate), 0, folder / path, shuffled=True)
    yield chosen, plan, folder
    os.chdir(before)


def test_what_needs_a_code_is_a_dash_with_the_reason(measured):
    chosen, plan, folder = measured
    arrays, skipped = read_codes(folder / "runs" / cells(chosen)[-1].path / plan.codes)
    assert cells(chosen)[-1].method == "bfn_d" and arrays["samples"].shape == (40, 1, 8, 8)
    assert "z" not in arrays and {"z", "generated", "loss_own", "progressive_z", "round_trip"} <= set(skipped)
    rows, _ = collect(chosen, folder / "runs")
    whole = rows[(rows.fold == "mean") & (rows.method == "bfn_d")].set_index("metric")
    assert {name for name in MEASURED if np.isfinite(whole.value[name])} == {"bits_per_dim"}
    assert all("it has no code" in whole.note[name] for name in set(MEASURED) - {"bits_per_dim"})


def test_controls_and_the_explorer_are_of_methods_with_codes(measured):
    chosen, plan, _ = measured
    assert all("paramrel_d" in str(path) for path in plan.controls())
    assert {cell.method for cell in explored(chosen)} == {"paramrel_d"}


@pytest.mark.slow
def test_tables_and_figures_do_without_codes(measured):
    chosen, _, folder = measured
    rows, _ = collect(chosen, folder / "runs")
    for name, (caption, make) in TABLES.items():
        write_table(make(rows), caption, folder / name)
    for name in FIGURE_NAMES:
        save(FIGURES[name].make(chosen, folder / "runs"), folder / name)
        assert (folder / f"{name}.png").stat().st_size > 500
