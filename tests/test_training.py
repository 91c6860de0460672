"""The training loop: resumes to the same bits, keeps its files whole, stops with a reason."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel

from paramrel import training
from paramrel.checkpoint import load_weights
from paramrel.data import dataset
from paramrel.errors import UserError
from paramrel.method import method
from paramrel.rng import Rng
from paramrel.settings import Runtime, Train
from paramrel.training import (
    Average,
    Batches,
    NotFinite,
    learning_rate,
    mirror_half,
    official_rate,
    train,
)
from tests.conftest import ROOT, TINY_NETWORK

SETTINGS = Train(steps=30, batch_size=16, learning_rate=2e-3, warmup_steps=3)
RUNTIME = Runtime(device="cpu", checkpoint_every=5, log_every=3)


def run(
    tmp_path: Path,
    digits,
    settings: Train = SETTINGS,
    runtime: Runtime = RUNTIME,
    name: str = "paramrel_d",
    seed: int = 0,
):
    cls = method(name)
    built = cls(digits, TINY_NETWORK, cls.Config())
    train(built, digits, seed, settings, runtime, tmp_path / "run", tmp_path / "state")
    return (tmp_path / "run/model.safetensors").read_bytes(), (tmp_path / "run/metrics.jsonl").read_text()


def test_two_runs_give_the_same_bytes_and_another_seed_does_not(tmp_path, digits):
    first = run(tmp_path / "a", digits)
    torch.manual_seed(99)
    assert run(tmp_path / "b", digits) == first
    assert run(tmp_path / "c", digits, seed=1) != first


def test_the_log_has_one_line_per_step(tmp_path, digits):
    lines = [json.loads(line) for line in run(tmp_path, digits)[1].splitlines()]
    assert [line["step"] for line in lines] == list(range(30))
    assert {"loss", "flow", "kl", "mmd", "grad_norm"} <= set(lines[0])


def test_logging_and_checkpointing_do_not_change_the_result(tmp_path, digits):
    often = Runtime(device="cpu", checkpoint_every=1, log_every=1)
    assert run(tmp_path / "a", digits) == run(tmp_path / "b", digits, runtime=often)


SCRIPT = """
import sys
from pathlib import Path
import torch
from safetensors import safe_open
from paramrel.data import dataset
from paramrel.method import method
from paramrel.settings import Network, Runtime, Train
from paramrel.training import train
cls, digits = method(sys.argv[1]), dataset("digits_binarized")
built = cls(digits, Network(channels=4, multipliers=(1, 2), blocks=1, groups=2, latent_dim=8), cls.Config())
train(built, digits, 0, Train(steps=400, batch_size=16, learning_rate=2e-3, warmup_steps=3),
      Runtime(device="cpu", checkpoint_every=7, log_every=5), Path(sys.argv[2]) / "run", Path(sys.argv[2]) / "state")
"""


def start(folder: Path, name: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, name, str(folder)], cwd=ROOT, stderr=subprocess.PIPE)


def saved_step(folder: Path) -> int:
    """Step of the checkpoint, 0 if there is none."""
    path = folder / "state/state.safetensors"
    if not path.exists():
        return 0
    with safe_open(path, "pt") as file:
        return int(file.metadata()["step"])


def wait_for_progress(folder: Path, process: subprocess.Popen) -> None:
    """Until this process has written a checkpoint of its own."""
    deadline, before = time.monotonic() + 120, saved_step(folder)
    while saved_step(folder) <= before:
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["paramrel_d", "vae"])
def test_killed_at_random_moments_and_continued_to_the_same_bits(tmp_path, name):
    whole = start(tmp_path / "whole", name)
    chance = random.Random(name)
    kills = 0
    for _ in range(3):
        process = start(tmp_path / "killed", name)
        wait_for_progress(tmp_path / "killed", process)
        time.sleep(chance.uniform(0, 0.7))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 3, "the training is too short for this test"
    assert start(tmp_path / "killed", name).wait() == 0
    assert whole.wait() == 0
    for file in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "killed/run" / file).read_bytes() == (tmp_path / "whole/run" / file).read_bytes()


def test_sigterm_saves_and_the_next_try_goes_on(tmp_path):
    process = start(tmp_path, "vae")
    wait_for_progress(tmp_path, process)
    process.terminate()
    assert process.wait() == 1 and b"stopped after step" in process.stderr.read()
    assert not (tmp_path / "run").exists()
    assert start(tmp_path, "vae").wait() == 0
    whole = start(tmp_path / "whole", "vae")
    assert whole.wait() == 0
    assert (tmp_path / "run/model.safetensors").read_bytes() == (tmp_path / "whole/run/model.safetensors").read_bytes()


def test_of_a_large_set_closed_forms_see_a_choice_of_the_images(tmp_path, digits, monkeypatch):
    """All of them as float32 would be tens of gigabytes; the choice is the seed's."""
    seen = []

    class Watched(method("vae")):
        def fit(self, images, rng):
            seen.append(images)

        def finish(self, images, rng):
            seen.append(images)

    monkeypatch.setattr(training, "FIT_VALUES", 100 * digits.n_dims)
    for folder in ("a", "b"):
        watched = Watched(digits, TINY_NETWORK, Watched.Config())
        train(
            watched,
            digits,
            0,
            Train(steps=1, batch_size=8),
            Runtime(device="cpu"),
            tmp_path / folder,
            tmp_path / "s" / folder,
        )
    assert [len(images) for images in seen] == [100] * 4
    assert (seen[0] == seen[2]).all() and (seen[1] == seen[3]).all() and (seen[0] != seen[1]).any()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[bytes, str]:
    """What a training makes that nothing disturbs."""
    return run(tmp_path_factory.mktemp("whole"), dataset("digits_binarized"), name="vae")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Path:
    """The folder of the same training, stopped after 20 of its steps."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "progress", lambda items, **_: range(items.start, 20))
        patched.setattr(training, "save_weights", lambda *_: (_ for _ in ()).throw(UserError("stopped")))
        with pytest.raises(UserError, match="stopped"):
            run(folder, dataset("digits_binarized"), name="vae")
    return folder


def flip(path: Path, at: int = -100) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "a flipped bit": lambda state: flip(state / "state.safetensors"),
    "half a file": lambda state: (state / "state.safetensors").write_bytes(b"half a file"),
    "zeros at the end": lambda state: zeros_at_the_end(state / "state.safetensors"),
    "both flipped": lambda state: [flip(path) for path in state.glob("*.safetensors")],
    "a short log": lambda state: shorten(state / "metrics.jsonl", 12),
    "no log": lambda state: (state / "metrics.jsonl").unlink(),
    "another log": lambda state: flip(state / "metrics.jsonl", 50),
}


def zeros_at_the_end(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-64] + bytes(64))


def shorten(log: Path, n_lines: int) -> None:
    log.write_text("".join(line + "\n" for line in log.read_text().splitlines()[:n_lines]))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_state_that_does_not_fit_is_set_aside_and_the_result_is_the_same(
    tmp_path, digits, whole, stopped, damage, capsys
):
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    DAMAGES[damage](tmp_path / "state")
    capsys.readouterr()
    assert run(tmp_path, digits, name="vae") == whole
    said = [line for line in capsys.readouterr().err.splitlines() if "set aside" in line]
    from_previous = damage in ("a flipped bit", "half a file", "zeros at the end")
    assert len(said) == 1 and ("goes on from step 15" if from_previous else "starts anew") in said[0]


def test_a_state_of_another_cell_is_set_aside(tmp_path, digits, stopped, capsys):
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    cls = method("vae")
    built = cls(digits, TINY_NETWORK, cls.Config())
    train(built, digits, 1, SETTINGS, RUNTIME, tmp_path / "run", tmp_path / "state", "the other seed")
    assert "it is of another cell" in capsys.readouterr().err
    train(
        built := cls(digits, TINY_NETWORK, cls.Config()), digits, 1, SETTINGS, RUNTIME, tmp_path / "b", tmp_path / "s"
    )
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("run", "b"))
    assert all(torch.equal(one[key], other[key]) for key in other)


def test_a_finished_trainings_state_makes_its_weights_again_without_a_step(tmp_path, digits, monkeypatch):
    whole = run(tmp_path, digits, name="vae")
    (tmp_path / "run/model.safetensors").unlink()
    monkeypatch.setattr(method("vae"), "loss", lambda *_: pytest.fail("a step was made"))
    assert run(tmp_path, digits, name="vae") == whole


def test_weights_of_another_model_are_refused(tmp_path, digits):
    run(tmp_path, digits)
    cls = method("vae")
    with pytest.raises(UserError, match="model.safetensors cannot be loaded"):
        load_weights(tmp_path / "run/model.safetensors", cls(digits, TINY_NETWORK, cls.Config()))


@pytest.mark.parametrize("bad_step", [3, 17])
def test_nan_stops_with_step_term_and_last_checkpoint(tmp_path, digits, monkeypatch, bad_step):
    cls = method("vae")
    honest = cls.loss

    def poisoned(self, batch, rng):
        terms = honest(self, batch, rng)
        if round(self.progress * SETTINGS.steps) == bad_step:
            terms.reported["kl"] = torch.tensor(float("nan"))
        return terms

    monkeypatch.setattr(cls, "loss", poisoned)
    last = "no checkpoint yet" if bad_step == 3 else "last good checkpoint: .*state.safetensors"
    with pytest.raises(NotFinite, match=f"kl is nan at step {bad_step}: .*{last}"):
        run(tmp_path, digits, name="vae")
    assert not (tmp_path / "run/model.safetensors").exists()


def test_a_batch_larger_than_the_data_is_refused(tmp_path, digits):
    with pytest.raises(UserError, match="batch_size 5000 is more than the 1428 training images"):
        run(tmp_path, digits, Train(steps=1, batch_size=5000))


def test_an_unavailable_gpu_is_refused(tmp_path, digits):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match="torch sees no GPU"):
        run(tmp_path, digits, runtime=Runtime(device="cuda"))


def test_bf16_and_fp32_learn_alike(tmp_path, digits):
    def last(precision: str) -> float:
        settings = SETTINGS.model_copy(update={"precision": precision, "steps": 60})
        lines = run(tmp_path / precision, digits, settings, name="vae")[1].splitlines()
        return sum(json.loads(line)["loss"] for line in lines[-10:]) / 10

    assert last("bf16") == pytest.approx(last("fp32"), rel=0.1)


def test_every_epoch_sees_every_image_once_in_another_order():
    batches = Batches(20, 5, Rng((0,)))
    epochs = [torch.cat([batches.indices(step) for step in range(4 * e, 4 * e + 4)]).tolist() for e in range(2)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs) and epochs[0] != epochs[1]
    assert Batches(20, 5, Rng((0,))).indices(6).tolist() == epochs[1][10:15], "a pure function of the step"


def test_learning_rate_warms_up_and_decays_to_nothing():
    settings = Train(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate(settings, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1, abs=1e-3) and rates[-1] < 1e-3
    assert learning_rate(Train(steps=100, warmup_steps=0, schedule="constant", learning_rate=0.5), 99) == 0.5


def test_the_official_rates_are_those_seen_when_its_code_was_run():
    rates = [official_rate(epoch, 50) * 1e-4 for epoch in range(50)]
    seen = {0: 1.000e-4, 1: 2.000e-4, 2: 2.002e-4, 3: 2.000e-4, 4: 1.994e-4, 49: 1.77e-6}
    assert all(rates[epoch] == pytest.approx(rate, rel=2e-3) for epoch, rate in seen.items())
    settings = Train(steps=500, schedule="infodiffusion", learning_rate=1e-4)
    assert [learning_rate(settings, step, 10) for step in (9, 10, 499)] == [rates[0], rates[1], rates[49]]


def test_flips_mirror_about_half_of_the_images_and_whole_ones():
    images = Rng((0,)).normal("images", (400, 1, 3, 5))
    flipped = mirror_half(images, Rng((0,)))
    same = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images.flip(-1)).flatten(1).all(1)
    assert (same ^ mirrored).all() and 150 < same.sum() < 250


def test_flips_change_the_training_and_ema_0_keeps_the_last_weights(tmp_path, digits):
    plain = run(tmp_path / "plain", digits, name="ae")[0]
    flipped = run(tmp_path / "flipped", digits, SETTINGS.model_copy(update={"flip": True}), name="ae")[0]
    last = run(tmp_path / "last", digits, SETTINGS.model_copy(update={"ema_decay": 0.0}), name="ae")[0]
    assert len({plain, flipped, last}) == 3
    assert averaged(0.0, [0, 1], first=5) == [1]


def test_a_latent_prior_is_scaled_to_the_averaged_models_codes(tmp_path, digits):
    for name in ("diffae", "info_diffusion"):
        run(tmp_path / name, digits, name=name)
        cls = method(name)
        trained = cls(digits, TINY_NETWORK, cls.Config())
        load_weights(tmp_path / name / "run/model.safetensors", trained)
        with torch.no_grad():
            z = trained.encode(torch.from_numpy(digits.evaluation_images("train")[0]).float()).mean
        assert torch.allclose(trained.prior.mean, z.mean(0), atol=0.1)
        if name == "diffae":
            assert torch.allclose(trained.prior.std, z.std(0, correction=0), atol=1e-4)


def averaged(decay: float, weights: list[float], first: int) -> list[float]:
    """Averages of one weight that begins as ``weights[0]`` and takes the others in turn, from step ``first`` on."""
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(weights[0])
    average, seen = Average(model, decay), []
    for n, weight in enumerate(weights[1:], first):
        model.weight.data.fill_(weight)
        average.update(model, n)
        seen.append(average.module.weight.item())
    return seen


def test_the_average_begins_as_the_first_weights_follows_and_holds_later():
    assert averaged(0.999, [0, 1, 0], first=0) == pytest.approx([1, 1 - 9 / 11])
    assert averaged(0.999, [0.9, 0], first=100_000) == pytest.approx([0.9 * 0.999])


def test_the_average_is_that_of_torch_and_takes_buffers_as_they_are():
    torch.manual_seed(0)
    model = torch.nn.BatchNorm1d(3)

    @torch.no_grad()
    def lerp(average: list, current: list, n: torch.Tensor) -> None:
        torch._foreach_lerp_(average, current, 1 - min(0.5, (1 + int(n)) / (10 + int(n))))

    ours, theirs = Average(model, 0.5), AveragedModel(model, multi_avg_fn=lerp)
    for step in range(15):
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data.fill_(step) if tensor.dtype == torch.long else torch.nn.init.normal_(tensor.data)
        ours.update(model, step)
        theirs.update_parameters(model)
    assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))


def test_images_for_the_closed_form_are_made_in_parts_and_only_for_who_needs_them(monkeypatch, digits):
    whole = digits.evaluation_images("train")[0]
    monkeypatch.setattr(training, "PART_VALUES", 5000)
    parts = training.some_images(digits, Rng((0,)))
    assert parts.dtype == whole.dtype and (parts == whole).all()
    monkeypatch.setattr(training, "FIT_VALUES", 100 * digits.n_dims)
    few = training.some_images(digits, Rng((0,)))
    assert len(few) == 100 and (few == training.some_images(digits, Rng((0,)))).all()
    monkeypatch.setattr(training, "some_images", lambda *_: pytest.fail("nobody needs them"))
    cls = method("untrained")
    training.prepare(cls(digits, TINY_NETWORK, cls.Config()), digits, 0, RUNTIME)
