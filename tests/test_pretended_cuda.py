"""Every method, conditioning and precision on a pretended GPU (tests/pretended.py), from a step of training to
images."""

import contextlib

import numpy as np
import pytest
import torch

from paramrel import training
from paramrel.data import DataSet, dataset
from paramrel.divergences import same_rows
from paramrel.errors import Unsupported
from paramrel.latent_usage import swapped_losses
from paramrel.method import LossTerms, Method, method, methods
from paramrel.rng import Rng
from paramrel.settings import Network, Runtime, Train
from tests.conftest import TINY_NETWORK
from tests.pretended import CUDA, pretended_gpu
from tests.toys import BinnedDigits

TOKENS = Network(**TINY_NETWORK.model_dump() | {"conditioning": "tokens", "token_heads": 2, "token_dim": 4})
BINARY, BINNED, TABLE = "digits_binarized", "digits_16_bins", "breast_cancer_mixed"
N = 4


def data_set(name: str) -> DataSet:
    return BinnedDigits() if name == BINNED else dataset(name)


def cases() -> list[tuple[str, str, str, str, dict]]:
    """(method, data, conditioning, precision, settings): each method in two ways, and what the settings of one
    change."""
    found = []
    for name, cls in methods().items():
        ways = (
            (BINARY, "adagn", "fp32"),
            (BINNED, "tokens", "bf16"),
            (BINNED, "adagn", "bf16"),
            (TABLE, "adagn", "bf16"),
        )
        fitting = [way for way in ways if cls.skip(data_set(way[0])) is None]
        found += [(name, *way, {}) for way in fitting[: 2 if cls.trained else 1]]
    found += [
        ("paramrel_c", BINNED, "adagn", "fp32", {"update": "last_sample", "z_source": "self", "theta_dropout": 0.2}),
        ("paramrel_c", BINNED, "adagn", "fp32", {"path": "joint", "posterior": "point", "times": "ddpm"}),
        ("paramrel_d", BINARY, "adagn", "fp32", {"encoder": "vanilla", "z_source": "data"}),
        ("paramrel_mixed", TABLE, "adagn", "fp32", {"continuous": "discretised", "sigma_1": 1e-3}),
    ]
    return found


def build(name: str, data: str, conditioning: str, settings: dict) -> Method:
    """The method as its training begins, on the processor."""
    cls = method(name)
    net = Network(**(TOKENS if conditioning == "tokens" else TINY_NETWORK).model_dump() | dict(cls.network))
    few = {"n_updates": 2} if "n_updates" in cls.Config.model_fields else {}
    built = cls(data_set(data), net, cls.Config(**few | settings))
    training.prepare(built, built.data, 0, Runtime(device="cpu"))
    return built


def images(built: Method) -> torch.Tensor:
    return torch.zeros(N, *built.data.shape).to(CUDA)


def step(built: Method, precision: str) -> LossTerms:
    """Loss and gradients of one step."""
    batch = built.data.to_model((images(built) * 255).to(torch.uint8), Rng((0,), CUDA))
    with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
        terms = built.train().loss(batch, Rng((0,), CUDA))
    terms.total.backward()
    return terms


def code(built: Method) -> torch.Tensor:
    """Codes of images; zeros of a method that has none."""
    try:
        return built.eval().encode(images(built)).mean
    except Unsupported:
        return torch.zeros(N, built.net.latent_dim, device=CUDA)


def uses(built: Method) -> dict[str, torch.Tensor]:
    """All that a method can be asked for, by name."""
    rng, x = Rng((1,), CUDA), images(built)
    z = code(built)
    shape = built.subcode_shape or (built.net.latent_dim,)
    calls = {
        "encode": lambda: z,
        "encode_at": lambda: built.encode_at(x, 0.5, rng).mean,
        "decode": lambda: built.decode(z),
        "reconstruct": lambda: built.reconstruct(x, z),
        "invert": lambda: built.invert(x, z, rng, 2),
        "render": lambda: built.render(z, rng.normal("subcode", (N, *shape)), 2),
        "generate": lambda: built.generate(z, rng, 2),
        "sample": lambda: built.sample(N, rng, getattr(built.config, "n_updates", 2)),
        "nll": lambda: built.nll(x, rng).total,
        "swapped_losses": lambda: swapped_losses(built, x, rng)[1]["prior"],
        "attention": lambda: built.attention(x, rng),
        "paths": lambda: built.paths(x, 2, rng),
    }
    made = {}
    for name, call in calls.items():
        with contextlib.suppress(Unsupported):
            made[name] = call()
    return made


@pytest.mark.parametrize(("name", "data", "conditioning", "precision", "settings"), cases())
def test_no_method_mixes_devices_or_waits_in_a_step(monkeypatch, name, data, conditioning, precision, settings):
    built = build(name, data, conditioning, settings)
    with pretended_gpu(monkeypatch) as gpu:
        built.to(CUDA)
        if built.trained:
            terms = step(built, precision)
            assert all(term.device == CUDA and not term.requires_grad for term in terms.reported.values())
            assert all(p.grad is not None for p in built.parameters() if p.requires_grad), "the graph was walked"
        gpu.waits = True
        with torch.no_grad():
            built.finish(np.zeros((N, *built.data.shape), np.float32), Rng((2,), CUDA))
            asked = uses(built) if precision == "fp32" else {"encode": code(built)}
            assert {made.device for made in asked.values()} == {CUDA}


def test_the_training_loop_waits_only_where_it_writes(monkeypatch, tmp_path):
    built, written = build("vae", BINARY, "adagn", {}), []

    def flush(log: training.Log) -> None:
        written.append(len(log.pending))
        log.pending.clear()

    with pretended_gpu(monkeypatch):
        monkeypatch.setattr(training, "prepare", lambda method, *_: method.to(CUDA) and CUDA)
        monkeypatch.setattr(training, "fits", lambda *_: True)
        monkeypatch.setattr(training, "save_weights", lambda path, *_: path.parent.mkdir(exist_ok=True))
        monkeypatch.setattr(training.Checkpoints, "save", lambda *_: None)
        monkeypatch.setattr(training.Log, "flush", flush)
        settings = Train(steps=3, batch_size=N, warmup_steps=1, flip=True)
        training.train(built, built.data, 0, settings, Runtime(log_every=3), tmp_path, tmp_path)
    assert written == [3]


def with_loss(monkeypatch, planted) -> Method:
    """A method whose loss also calls ``planted`` with its batch and stream."""
    built = build("vae", BINARY, "adagn", {})
    loss = built.loss
    monkeypatch.setattr(built, "loss", lambda batch, rng: planted(batch, rng) and loss(batch, rng))
    return built


PLANTED = {
    "a tensor on the processor": (lambda batch, rng: [batch * torch.ones(8, 8)], "two devices"),
    "a generator of the processor": (
        lambda batch, rng: [torch.randn(2, generator=torch.Generator(), device=batch.device)],
        "generator of another device",
    ),
    "a number from the GPU": (lambda batch, rng: [batch.sum().item()], "waits"),
    "an operation that is not deterministic": (lambda batch, rng: [batch.median()], "no deterministic kernel"),
    "rows that are equal": (lambda batch, rng: [torch.unique(batch.flatten(1), dim=0)], "unique_dim"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found(monkeypatch, what):
    planted, message = PLANTED[what]
    built = with_loss(monkeypatch, planted)
    with pretended_gpu(monkeypatch), pytest.raises(Exception, match=message):
        step(built.to(CUDA), "fp32")


def test_equal_rows_are_found_without_a_wait():
    points = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    points[7:] = points[:5]
    assert torch.equal(same_rows(points), torch.cdist(points, points, p=0) == 0)
    assert same_rows(points).sum() == 12 + 2 * 5
