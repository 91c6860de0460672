"""A table of columns of several types: its flow equals its parts, its bound is one, the graph takes it."""

import math
import re

import numpy as np
import pytest
import torch
import yaml
from sklearn.datasets import load_breast_cancer

from metrics import metric, metrics
from paramrel import training
from paramrel.data import dataset, datasets
from paramrel.data._base import hashed_split
from paramrel.errors import Unsupported, UserError
from paramrel.flows import ContinuousFlow, DiscreteFlow, DiscretisedFlow, MixedFlow, Part, hide
from paramrel.method import method, methods
from paramrel.networks import initialise
from paramrel.rng import Rng
from paramrel.sampling import ancestral, integrate
from paramrel.settings import Network, Runtime
from suite.commands.main import train
from suite.graph.cells import cells, find, skipped
from suite.graph.config import load, resolve
from suite.graph.names import metric_names
from suite.graph.plan import Plan
from suite.graph.results import FIGURE_NAMES
from suite.measure.encode import encode
from suite.measure.evaluate import evaluate_to, read_codes
from suite.measure.rows import collect
from suite.show.contact_sheet import save_sheet
from suite.show.figures import FIGURES, save
from suite.show.tables import TABLES, write_table
from suite.show.tables.by_data_set import likelihood_table
from tests.conftest import ROOT, TINY_NETWORK, TINY_PRESET
from tests.example_rows import entry
from tests.n_steps import revert

RNG = Rng((0, "mixed"))
CENTRES = tuple((torch.arange(61) / 60).tolist())
TABLE = "breast_cancer_mixed"


def thirds(k: int) -> tuple[float, ...]:
    return tuple(torch.linspace(0, 1, k).tolist())


PARTS = (
    Part(ContinuousFlow(0.03, CENTRES), (3, 0)),
    Part(DiscreteFlow(2, 9.0, thirds(2)), (1,)),
    Part(DiscreteFlow(5, 3.6, thirds(5)), (2, 5)),
    Part(DiscretisedFlow(0.02, CENTRES), (4,)),
)
FLOW = MixedFlow(PARTS)


def images(n: int = 6) -> torch.Tensor:
    """Rows of six columns as methods take them, (n, 6, 1, 1)."""
    columns = [(RNG.uniform(f"column {j}", (n,)) * k).floor() / (k - 1) for j, k in enumerate((61, 2, 5, 61, 61, 5))]
    return torch.stack(columns, 1)[:, :, None, None]


def own(x: torch.Tensor) -> list[torch.Tensor]:
    """The parts' own values of x."""
    return [part.flow.to_flow(x[:, list(part.channels)]) for part in PARTS]


def joined(pieces: list[torch.Tensor]) -> torch.Tensor:
    """The parts' (N, c, 1, 1) in the table's order, column by column."""
    table = torch.empty(len(pieces[0]), 6, 1, 1)
    for part, piece in zip(PARTS, pieces, strict=True):
        for k, channel in enumerate(part.channels):
            table[:, channel] = piece[:, k]
    return table


def parts_states(u: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
    return [part.flow.sample(values, u, RNG.at(i)) for i, (part, values) in enumerate(zip(PARTS, own(x), strict=True))]


def test_it_is_its_parts_side_by_side():
    x, u = images(), torch.linspace(0.1, 0.9, 6)
    values, states, state = FLOW.to_flow(x), parts_states(u, x), FLOW.sample(FLOW.to_flow(x), u, RNG)
    assert torch.allclose(FLOW.to_images(values), x, atol=1e-6)
    seen, n_in, n_out = FLOW.channels(6)
    assert FLOW.network_input(state).shape == (6, seen, 1, 1) and seen == 2 + 1 + 10 + 1
    theirs = [part.flow.decoder_input(s, u) for part, s in zip(PARTS, states, strict=True)]
    assert torch.equal(FLOW.decoder_input(state, u), torch.cat(theirs, 1)) and n_in == sum(t.shape[1] for t in theirs)
    out = RNG.normal("out", (6, n_out, 1, 1))
    widths = [part.flow.channels(len(part.channels))[2] for part in PARTS]
    outputs = [part.flow.output(o, s, u) for part, o, s in zip(PARTS, out.split(widths, 1), states, strict=True)]
    output = FLOW.output(out, state, u)
    for ours, theirs in (
        (FLOW.loss(values, output, u), [p.flow.loss(v, o, u) for p, v, o in zip(PARTS, own(x), outputs)]),
        (
            FLOW.reconstruction_nll(values, output),
            [p.flow.reconstruction_nll(v, o) for p, v, o in zip(PARTS, own(x), outputs)],
        ),
        (
            FLOW.squared_error(values, output),
            [p.flow.squared_error(v, o) for p, v, o in zip(PARTS, own(x), outputs)],
        ),
        (FLOW.expectation(output), [p.flow.expectation(o) for p, o in zip(PARTS, outputs)]),
        (FLOW.mode(output), [p.flow.mode(o).float() for p, o in zip(PARTS, outputs)]),
        (FLOW.read(state, output), [p.flow.read(s, o).float() for p, s, o in zip(PARTS, states, outputs)]),
        (FLOW.draw(output, RNG), [p.flow.draw(o, RNG.at(i)).float() for i, (p, o) in enumerate(zip(PARTS, outputs))]),
    ):
        assert torch.equal(ours, joined(theirs))


def test_updates_carry_each_channel_by_its_own_accuracy_and_can_be_undone():
    n, x = 5, FLOW.to_flow(images(20_000))
    state = FLOW.prior((20_000, 6, 1, 1))
    assert not state.any()
    for i in range(1, n + 1):
        u = torch.tensor([(i - 1) / n])
        y = FLOW.send(x, FLOW.alpha(i, n), RNG.at("send", i))
        after = FLOW.update(state, y, FLOW.beta(u), FLOW.alpha(i, n))
        parts = FLOW._evidence(after, y, FLOW.beta(u), FLOW.alpha(i, n))
        for (part, evidence), before in zip(parts, FLOW._states(state), strict=True):
            assert torch.allclose(revert(part.flow, *evidence), before, atol=2e-3)
        state = after
    one = torch.ones(len(x))
    drawn = FLOW.sample(x, one, RNG.at("again"))
    updated, sampled = state - FLOW.mean_state(x, one), drawn - FLOW.mean_state(x, one)
    assert torch.allclose(updated.std(0), sampled.std(0), rtol=0.03)
    assert (updated.mean(0).abs() < 5 * updated.std(0) / math.sqrt(len(x))).all()
    total = sum(FLOW.alpha(i, 9) for i in range(1, 10))
    assert torch.allclose(total, FLOW.beta(torch.ones(1)), rtol=1e-4)


def test_a_path_goes_on_to_the_marginal_of_the_later_time():
    x = FLOW.to_flow(images(20_000))
    u, s = torch.full((len(x),), 0.3), torch.full((len(x),), 0.8)
    carried = FLOW.continue_path(FLOW.sample(x, u, RNG.at("u")), x, u, s, RNG.at("s"))
    mean, drawn = FLOW.mean_state(x, s), FLOW.sample(x, s, RNG.at("direct"))
    assert torch.allclose((carried - mean).std(0), (drawn - mean).std(0), rtol=0.03)


def test_hidden_rows_are_the_prior():
    state = FLOW.sample(FLOW.to_flow(images()), torch.full((6,), 0.5), RNG)
    hidden = torch.tensor([True, False] * 3)
    assert torch.equal(hide(state, hidden)[hidden], FLOW.prior((3, 6, 1, 1)))
    assert torch.equal(hide(state, hidden)[~hidden], state[~hidden])


def test_v_space_has_a_kappa_for_every_channel():
    x, u = FLOW.to_flow(images(20_000)), torch.full((20_000,), 0.4)
    state = FLOW.sample(x, u, RNG)
    v = FLOW.to_v(state, u)
    assert torch.allclose(FLOW.network_input(FLOW.from_v(v, u)), FLOW.network_input(state), atol=1e-4)
    assert torch.allclose(FLOW.to_v(FLOW.from_v(v, u), u), v, atol=1e-4)
    kappa = FLOW.kappa(u[:1])
    assert kappa.shape == (1, v.shape[1], 1, 1)
    noise = v - FLOW.to_v(FLOW.mean_state(x, u), u)
    # K > 2: the logits' common part, which softmax does not see, is noise as well
    assert torch.allclose(noise.std(0), torch.ones(v.shape[1:]), atol=0.03)
    centred = FLOW.to_v(FLOW.mean_state(x, u), u) / kappa
    assert torch.allclose(centred[:, :3], torch.cat((x[:, [3, 0]], 2 * x[:, [1]] - 1), 1), atol=1e-4)


def small_decoder(theta, u, z):
    """A smooth function of theta, u and z that ties the channels together."""
    seen = FLOW.decoder_input(theta, u).flatten(1)
    weight = RNG.normal("weight", (seen.shape[1], FLOW.channels(6)[2])) / 6
    out = torch.tanh(seen @ weight + z.sum(1, keepdim=True) + u[:, None])
    return FLOW.output(0.5 * out[:, :, None, None], theta, u)


def test_the_ode_goes_there_and_back():
    z = RNG.normal("z", (8, 3))
    v = RNG.normal("v", tuple(FLOW.to_v(FLOW.prior((8, 6, 1, 1)), torch.ones(8)).shape))
    errors = []
    for n_steps in (8, 16, 32):
        there = integrate(FLOW, small_decoder, v, z, 0.0, 0.6, n_steps)
        back = integrate(FLOW, small_decoder, there, z, 0.6, 0.0, n_steps)
        errors.append((back - v).abs().mean().item())
    assert errors[2] < 0.01 and errors[0] > 2.5 * errors[1] > 6 * errors[2]
    there = integrate(FLOW, small_decoder, v, z, 0.0, 0.6, 8, "euler")
    back = integrate(FLOW, small_decoder, there, z, 0.6, 0.0, 8, "euler", fixed_point=60)
    assert (back - v).abs().max() < 1e-3


@pytest.mark.parametrize("flow", [PARTS[0].flow, PARTS[1].flow, PARTS[2].flow])
def test_one_part_alone_is_that_flow_in_the_samplers_too(flow):
    alone = MixedFlow((Part(flow, (0, 1)),))
    shape, z = (4, 2, 1, 1), torch.zeros(4, 1)

    def decode(which):
        def run(theta, u, z):
            seen = which.network_input(theta)
            return which.output(seen[:, : which.channels(2)[2]] + u[:, None, None, None], theta, u)

        return run

    v = RNG.normal("v", tuple(flow.to_v(flow.prior(shape), torch.ones(4)).shape))
    packed = v if v.ndim == 4 else v.movedim(-1, 2).flatten(1, 2)
    ours = integrate(alone, decode(alone), packed, z, 0.0, 1.0, 6)
    theirs = integrate(flow, decode(flow), v, z, 0.0, 1.0, 6)
    assert torch.allclose(ours, theirs if v.ndim == 4 else theirs.movedim(-1, 2).flatten(1, 2), atol=1e-5)
    drawn = ancestral(alone, decode(alone), lambda *_: z, shape, RNG, 5)
    assert drawn.shape == shape and drawn.min() >= 0 and drawn.max() <= 1


def test_channels_must_be_dealt_out_once():
    with pytest.raises(ValueError, match="every channel once"):
        MixedFlow((Part(PARTS[0].flow, (0, 1)), Part(PARTS[1].flow, (1,))))
    with pytest.raises(ValueError, match="5 channels, but the parts have 6"):
        FLOW.channels(5)


def test_the_bound_of_a_dependent_table_is_its_entropy():
    """A continuous column, and the third it falls into as a categorical one, decoded by the exact posterior: the bound
    is the joint entropy, which is that of the continuous column alone."""
    n_bins, k = 61, 3
    grid = torch.linspace(-1, 1, n_bins)
    p = torch.softmax(-grid.square() / (2 * 0.3**2), 0)
    classes = torch.bucketize(grid, torch.tensor([-0.1, 0.1]))
    gaussian, discrete = ContinuousFlow(0.004, CENTRES, "x"), DiscreteFlow(k, 6.0, thirds(k))
    flow = MixedFlow((Part(gaussian, (0,)), Part(discrete, (1,))))
    n = 40_000
    bins = torch.multinomial(p, n, replacement=True, generator=RNG.generator("bins"))
    x = torch.stack((grid[bins], classes[bins].float()), 1)[:, :, None, None]

    def posterior(theta, u):
        """The output distribution that knows p: mean of the one, class probabilities of the other."""
        mu, logits = theta[:, :1, 0, 0], theta[:, 1:, 0, 0]
        beta = gaussian.beta(u)[:, None]
        log_p = p.log() + mu * (1 + beta) * grid - beta * grid.square() / 2 + logits[:, classes]
        weights = log_p.softmax(-1)
        by_class = torch.stack([weights[:, classes == c].sum(1) for c in range(k)], 1)
        out = torch.cat((weights @ grid[:, None], by_class.clamp_min(1e-30).log()), 1)
        return flow.output(out[:, :, None, None], theta, u)

    u, one = RNG.stratified("u", n), torch.ones(n)
    theta_u, theta_1 = flow.sample(x, u, RNG.at("u")), flow.sample(x, one, RNG.at("1"))
    nats = flow.loss(x, posterior(theta_u, u), u) + flow.reconstruction_nll(x, posterior(theta_1, one))
    bound, entropy = nats.flatten(1).sum(1), -(p * p.log()).sum()
    error = 4 * bound.std() / math.sqrt(n)
    assert entropy - error < bound.mean() < 1.02 * entropy + error and error < 0.05 * entropy
    apart = entropy - sum(p[classes == c].sum() * p[classes == c].sum().log() for c in range(k))
    assert bound.mean() < apart - 0.5, "the class costs nothing beside the value"


def test_the_table_is_scikit_learns_cut_and_rounded_by_its_training_rows():
    data = dataset(TABLE)
    train, test = data.load("train"), data.load("test")
    assert len(train.labels) + len(test.labels) == 569 and 0.17 < len(test.labels) / 569 < 0.23
    kinds = [column.n_classes for column in data.columns]
    assert kinds.count(None) == 20 and {k: kinds.count(k) for k in (2, 3, 5)} == {2: 4, 3: 3, 5: 3}
    original, is_test = load_breast_cancer().data, hashed_split("breast_cancer", 569, 0.2)
    values = np.empty(original.shape)
    values[~is_test], values[is_test] = (split.images[:, :, 0, 0] for split in (train, test))
    standard = (original - original[~is_test].mean(0)) / original[~is_test].std(0)
    for j, k in enumerate(kinds):
        if k is None:
            inside = np.abs(standard[:, j]) < 4
            assert np.abs(values[inside, j] / 30 - 4 - standard[inside, j]).max() <= 1 / 60 + 1e-9
        else:
            shares = np.bincount((values[~is_test, j] / 240 * (k - 1)).round().astype(int)) / len(train.labels)
            assert len(shares) == k and np.abs(shares - 1 / k).max() < 0.01
            assert (np.diff(values[np.argsort(original[:, j]), j]) >= 0).all(), "classes keep the order of values"
    continuous = [k is None for k in kinds]
    assert (np.abs(standard[:, continuous]) > 4).sum() == 28


def test_methods_for_images_say_why_they_skip_a_table_and_the_other_way_round():
    reasons = {name: cls.skip(dataset(TABLE)) for name, cls in methods().items()}
    assert {name for name, reason in reasons.items() if reason is None} == {
        "columns",
        "ica",
        "paramrel_mixed",
        "pca",
        "pixels",
        "untrained",
    }
    assert "paramrel_mixed" in reasons["vae"] and "paramrel_mixed" in reasons["paramrel_d"]
    for cls in datasets().values():
        if cls.kind != "mixed":
            assert method("paramrel_mixed").skip(cls()) and method("columns").skip(cls())


def built(variant: str = "ahead", net: Network = TINY_NETWORK, **changes):
    cls = method("paramrel_mixed")
    made = cls(dataset(TABLE), net, cls.Config(**cls.variants[variant] | changes))
    initialise(made, RNG)
    return made


def test_a_short_training_beats_independent_columns_and_every_column_has_its_share():
    model = built("self", Network(channels=32, multipliers=(2,), blocks=2, groups=4, latent_dim=4))
    x = torch.from_numpy(model.data.evaluation_images("train")[0])
    held_out = torch.from_numpy(model.data.evaluation_images("test")[0])
    optimiser = torch.optim.AdamW(model.parameters(), 5e-3)
    for step in range(200):
        batch = x[RNG.at(step).permutation("rows", len(x))[:64]]
        optimiser.zero_grad()
        model.loss(batch, RNG.at(step)).total.backward()
        optimiser.step()
    with torch.no_grad():
        after = model.nll(held_out, RNG)
    apart = columns("independent").nll(held_out, RNG)
    assert after.total.mean() < apart.total.mean()
    assert after.channels.shape == (len(held_out), 30) and (after.channels.mean(0) > 0).all()
    assert torch.allclose(after.channels.sum(1), after.data, rtol=1e-4)


def test_a_class_that_no_training_row_has_is_named():
    chain = columns("chain")
    images = chain.data.evaluation_images("train")[0].copy()
    of = next(j for j, column in enumerate(chain.data.columns) if j and column.n_classes == 3)
    flat = images.reshape(len(images), -1)
    flat[flat[:, of] == 0.5, of] = 1
    with pytest.raises(
        UserError, match=f"column {re.escape(chain.data.columns[of].name)}: no training row has class 1 of 3"
    ):
        chain.fit(images, RNG)
    columns("independent").fit(images, RNG)


def test_columns_are_misread_only_where_their_flow_tells_values_apart():
    """An entry of v for each misread one of two classes, K for one of K; none of a continuous column under wide
    noise."""
    sharp = Part(ContinuousFlow(0.005, CENTRES), (3, 0))
    x = FLOW.to_flow(images())
    for flow, per_column in ((FLOW, (0, 1, 5, 0, 0, 5)), (MixedFlow((sharp, *PARTS[1:])), (1, 1, 5, 1, 0, 5))):
        assert flow.resolves and not flow.misread(x, x).any()
        for j, entries in enumerate(per_column):
            read = x.clone()
            read[2, j] = x[2, j] - 1 if x[2, j] > 0 else x[2, j] + 1
            wrong = flow.misread(x, read)
            assert wrong.shape == flow.to_v(flow.mean_state(x, torch.ones(6)), torch.ones(6)).shape
            assert wrong[2].sum() == wrong.sum() == entries, f"column {j}"


def test_values_of_columns_are_moved_to_the_nearest_of_their_own():
    x = FLOW.to_flow(images())
    assert torch.equal(FLOW.quantise(x), x)
    moved = x.clone()
    moved[:, [0, 3, 4]] += 0.4 / 60  # of a bin of 2/60 in [-1, 1]
    assert not torch.equal(moved, x) and torch.allclose(FLOW.quantise(moved), x)


@pytest.mark.slow
@torch.no_grad()
def test_every_class_of_a_table_returns(tmp_path):
    """`self` as the preset trains it, whose flow is the sharpest: of the first draws some would come back wrong."""
    cell = find(resolve(load(ROOT / "params.yaml"), "table"), TABLE, "paramrel_mixed", "self", 0)
    model, data = cell.build(), dataset(TABLE)
    with torch.enable_grad():
        training.train(
            model, data, 0, cell.train, Runtime(device="cpu", threads=1), tmp_path / "run", tmp_path / "state"
        )
    x = torch.from_numpy(data.evaluation_images("test")[0])
    z = model.eval().encode(x).mean
    flow, one = model.flow, torch.ones(len(x))
    clean = flow.to_v(flow.mean_state(flow.to_flow(x), one), one)
    first = clean + RNG.normal("v", tuple(clean.shape))
    assert flow.misread(flow.to_flow(x), model.round_trip.read(first, z)).any()
    subcode = model.invert(x, z, RNG, 20)
    back = model.render(z, subcode, 20)
    classes = [j for j, column in enumerate(data.columns) if column.n_classes]
    assert torch.equal(back[:, classes], x[:, classes])
    assert (back - x).square().mean() < 3e-4 and 0.9 < subcode.std() < 1.2


def test_flows_of_continuous_columns_and_reading_codes_alone():
    for continuous in ("continuous", "discretised"):
        model = built(continuous=continuous).eval()
        x = torch.from_numpy(model.data.evaluation_images("test")[0][:5])
        assert model.decode(model.encode(x).mean).shape == x.shape
    with pytest.raises(Unsupported, match="eps output"):
        built("self", parametrisation="eps").decode(torch.zeros(2, 8))


def columns(variant: str):
    cls, data = method("columns"), dataset(TABLE)
    made = cls(data, TINY_NETWORK, cls.Config(**cls.variants[variant]))
    made.fit(data.evaluation_images("train")[0], RNG)
    return made


def test_column_likelihoods_are_probabilities_and_meet_closed_forms():
    data = dataset(TABLE)
    rows = torch.from_numpy(data.evaluation_images("train")[0])
    for variant in ("independent", "chain"):
        made = columns(variant)
        for j, k in ((3, data.bins), (10, 2), (12, 5), (29, data.bins)):
            every = rows[:1].repeat(k, 1, 1, 1)
            every[:, j, 0, 0] = torch.linspace(0, 1, k) if k != data.bins else data.centres
            assert made.nll(every, RNG).channels[:, j].neg().exp().sum().item() == pytest.approx(1, abs=1e-4)
    frequencies = torch.bincount((rows[:, 12, 0, 0] * 4).round().long()) + 1.0
    expected = -(frequencies / frequencies.sum()).log()
    nats = columns("independent").nll(rows, RNG)
    assert torch.allclose(nats.channels[:, 12], expected[(rows[:, 12, 0, 0] * 4).round().long()], atol=1e-5)
    gaussian = 0.5 * math.log(2 * math.pi * math.e) + rows[:, 1].std().log() + math.log(240)
    assert nats.channels[:, 1].mean().item() == pytest.approx(gaussian.item(), abs=0.02)
    assert columns("chain").nll(rows, RNG).total.mean() < 0.8 * nats.total.mean()


def test_columns_draw_what_they_say():
    real = dataset(TABLE).evaluation_images("train")[0].reshape(-1, 30)
    drawn = {v: columns(v).sample(4000, RNG, 1).flatten(1).numpy() for v in ("independent", "chain")}
    assert np.abs(drawn["independent"].mean(0) - real.mean(0)).max() < 0.03
    tied = {name: np.corrcoef(rows[:, [0, 2, 12, 20]].T) for name, rows in (drawn | {"real": real}).items()}
    assert np.abs(tied["chain"] - tied["real"]).max() < 0.12
    assert np.abs(tied["independent"] - np.eye(4)).max() < 0.06


MEASURED = (
    "auroc", "agreement", "bits_per_dim", "nats_continuous", "bits_categorical", "permuted_ratio", "loss_own", "kl",
    "round_trip",
)  # fmt: skip


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A folder with a small preset of the table."""
    monkeypatch.chdir(tmp_path)
    preset = TINY_PRESET | {"datasets": [TABLE], "seeds": [0], "methods": ["vae", "columns", "paramrel_mixed"]}
    preset["evaluate"] = preset["evaluate"] | {"metrics": list(MEASURED)}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"preset": "tiny", "presets": {"tiny": preset}}))
    return tmp_path


def test_the_graphs_steps_take_a_table(tiny):
    plan, chosen = Plan.read({}), resolve(load(tiny / "params.yaml"), "tiny")
    for cell in cells(chosen):
        train(dataset=cell.dataset, method=cell.method, variant=cell.variant, seed=cell.seed)
        codes = encode(cell, chosen.evaluate, chosen.runtime, tiny / "runs" / cell.path)
        evaluate_to(codes, metric_names(chosen.evaluate), 0, tiny / "runs" / cell.path / plan.metrics)
    for path in plan.controls():
        control = (tiny / path).parent / plan.codes
        evaluate_to(control, metric_names(chosen.evaluate), 0, tiny / path, shuffled=True)
    rows, _ = collect(chosen, tiny / "runs")
    whole = rows[(rows.fold == "mean") & (rows.variant != "default")]
    values = whole.set_index(["method", "variant", "metric"]).value.sort_index()
    for variant in ("self", "ahead"):
        assert all(np.isfinite(values["paramrel_mixed", variant, name]) for name in MEASURED)
    notes = whole.set_index(["method", "variant", "metric"]).note
    assert notes["columns", "chain", "loss_own"] == "it has no latent"
    chain = values["columns", "chain"]
    bits = (20 * chain["nats_continuous"] / np.log(2) + 10 * chain["bits_categorical"]) / 30
    assert bits == pytest.approx(chain["bits_per_dim"], rel=1e-5)
    assert entry(likelihood_table(rows), "column by column (chain)", "nats per continuous column ↓").n == 1
    for name, (caption, make) in TABLES.items():
        write_table(make(rows), caption, tiny / name)
        assert (tiny / f"{name}.tex").exists()
    every = evaluate_to(codes, tuple(sorted(metrics())), 0, tiny / "every.json", given={"dci": {"n_trees": 2}})["rows"]
    reasons = {row["metric"]: row["note"] for row in every if row["value"] is None}
    assert all("under 3 x 3" in reasons[name] for name in ("ssim", "notblur", "notblur_from_code"))
    assert "at least two factors" in reasons["dci"] and all(len(reason) > 5 for reason in reasons.values())
    assert not reasons.keys() & set(MEASURED)
    for name in FIGURE_NAMES:
        save(FIGURES[name].make(chosen, tiny / "runs"), tiny / name)
        assert (tiny / f"{name}.png").stat().st_size > 500
    assert ("breast_cancer_mixed", "vae", method("vae").skip(dataset(TABLE))) in skipped(chosen)
    arrays, _ = read_codes(tiny / "runs" / cells(chosen)[-1].path / plan.codes)
    assert arrays["samples"].shape[1:] == (30, 1, 1)


def test_likelihoods_by_type_check_their_input():
    nats = {"nll_columns": np.ones((4, 3)), "nll_kl": np.zeros(4), "column_classes": np.array([0, 2, 0])}
    assert metric("nats_continuous")(nats).value == 1
    assert metric("bits_categorical")(nats).value == pytest.approx(1 / math.log(2))
    assert "2 nats a row" in metric("bits_categorical")(nats | {"nll_kl": np.full(4, 2.0)}).note
    with pytest.raises(Unsupported, match="no categorical column"):
        metric("bits_categorical")(nats | {"column_classes": np.zeros(3, int)})
    with pytest.raises(UserError, match="column_classes must be"):
        metric("nats_continuous")(nats | {"column_classes": np.zeros(2, int)})


def test_a_table_has_no_contact_sheet(tmp_path):
    with pytest.raises(UserError, match="is a table and has no images"):
        save_sheet(dataset(TABLE), tmp_path / "sheet.png", 2, 2)
