"""What generates images in the same minutes: networks, times and preconditioning side by side (docs/generation.md).

    python -m benchmarks.generation --data celeba_subset_32 --minutes 5 --out DIR [--only ahead head_mixed ...]

Every setting is trained by the project's own loop for the same processor time of one thread: the rate of its steps is
measured first, then the learning rate's cosine is laid over the steps that fit, the time of ``fit`` included. What is
measured of it is written as a row of DIR/generation.csv at once, with a picture beside it: sources, two images
generated at each source's code, samples from the prior, magnified three times. Rows that are there are not made again.
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from metrics import metric
from metrics.speckle import speckle as grain
from paramrel.checkpoint import load_weights
from paramrel.data import DataSet, dataset
from paramrel.files import write_atomically
from paramrel.latent_usage import swapped_losses
from paramrel.method import LossTerms, Method, method
from paramrel.networks import n_parameters
from paramrel.rng import Rng
from paramrel.settings import Network, Runtime, Train
from paramrel.training import prepare, train

TRAIN = {"batch_size": 64, "learning_rate": 2e-3, "schedule": "cosine", "warmup_steps": 50, "ema_decay": 0.999}
N_IMAGES, N_CODES, N_PROBE = 400, 2000, 10_000
"""Held-out images that are generated and whose losses are measured; that codes are read from; training images of the
probe."""
STEPS = 20
"""Of the samplers."""
SHOWN = 12
"""Images in a row of the picture."""
N_TIMED, N_WARM = 40, 5
"""Steps of the training that the rate is measured in, and how many of them do not count."""

SQUARES = {"channels": 32, "multipliers": (1, 2), "blocks": 1, "groups": 8, "latent_dim": 32, "unshuffle": 4}
GREY = {"channels": 16, "multipliers": (1, 2, 4), "blocks": 1, "groups": 8, "latent_dim": 32, "unshuffle": 2}
NETWORKS: Mapping[str, dict[str, Any]] = {"mnist_binarized": GREY, "fashionmnist_binarized": GREY}
"""Networks of preset ``small``, by data set; ``SQUARES`` for the rest."""


@dataclass(frozen=True)
class Setting:
    """A row: a method, and what differs from the committed preset's setting of it."""

    method: str
    config: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    trained: bool = True
    """False: no step is made. A U-Net's output is then 0, so the estimate is the model's of the images alone."""


HEAD = {"head_channels": 16}
AHEAD = {"z_source": "ahead", "theta_dropout": 0.3}
EDM = AHEAD | {"times": "edm"}
DIFFAE = {"parametrisation": "v"}


def settings(flow: str) -> dict[str, Setting]:
    """All rows by name; ``flow`` is the ParamReL that the data set is meant for."""
    spectrum = {"precondition": "spectrum"}
    return {
        "model_alone": Setting(flow, AHEAD | spectrum, trained=False),
        "committed": Setting(flow, AHEAD),
        "head": Setting(flow, AHEAD, HEAD),
        "head_edm": Setting(flow, EDM, HEAD),
        "head_edm_scalar": Setting(flow, EDM | {"precondition": "scalar"}, HEAD),
        "head_edm_spectrum": Setting(flow, EDM | spectrum, HEAD),
        "head_edm_spectrum_both": Setting(flow, EDM | spectrum | {"estimate": "both"}, HEAD),
        "head_edm_spectrum_input": Setting(flow, EDM | spectrum | {"estimate": "input"}, HEAD),
        "head_spectrum": Setting(flow, AHEAD | spectrum, HEAD),
        "diffae_committed": Setting("diffae", DIFFAE),
        "diffae_head": Setting("diffae", DIFFAE, HEAD),
        "diffae_head_spectrum": Setting("diffae", DIFFAE | spectrum, HEAD),
        "diffae_head_spectrum_both": Setting("diffae", DIFFAE | spectrum | {"estimate": "both"}, HEAD),
    }


def flow_of(data: DataSet) -> str:
    return "paramrel_d" if data.binary else "paramrel_c"


def n_steps(times: list[float], budget: float) -> int:
    """Steps that fit into ``budget`` seconds, by the ``times`` of a short training: start, every step, end."""
    per_step = (times[-2] - times[1 + N_WARM]) / (len(times) - 3 - N_WARM)
    before = times[1] - times[0]
    return max(N_TIMED + 1, int((budget - before) / per_step))


def trained(
    setting: Setting, data: DataSet, net: Network, seed: int, train_as: Train, run: Path
) -> tuple[Method, list[float]]:
    """The method after the project's training loop; the processor's seconds at the start, at every step and at the
    end."""
    cls = method(setting.method)
    model = cls(data, net, cls.Config(**setting.config))
    loss, times = model.loss, [time.process_time()]

    def timed(batch: Tensor, rng: Rng) -> LossTerms:
        times.append(time.process_time())
        return loss(batch, rng)

    model.loss = timed  # type: ignore[method-assign]
    runtime = Runtime.model_validate({"device": "cpu", "checkpoint_every": train_as.steps + 1})
    train(model, data, seed, train_as, runtime, run, run / "state")
    model.loss = loss  # type: ignore[method-assign]
    times.append(time.process_time())
    load_weights(run / "model.safetensors", model)
    return model.eval(), times


def in_budget(
    setting: Setting, data: DataSet, net: Network, seed: int, precision: str, budget: float
) -> tuple[Method, float, int]:
    """The method trained for ``budget`` processor seconds, the seconds it took, and the steps."""
    if not setting.trained:
        model = method(setting.method)(data, net, method(setting.method).Config(**setting.config))
        prepare(model, data, seed, Runtime.model_validate({"device": "cpu"}))
        return model.eval(), 0.0, 0
    with tempfile.TemporaryDirectory() as folder:

        def run(steps: int) -> tuple[Method, list[float]]:
            train_as = Train.model_validate(TRAIN | {"steps": steps, "precision": precision})
            return trained(setting, data, net, seed, train_as, Path(folder) / str(steps))

        times = run(N_TIMED)[1]
        steps = n_steps(times, budget)
        model, times = run(steps)
        return model, times[-1] - times[0], steps


def speckle(made: np.ndarray, real: np.ndarray) -> float:
    """Median over images of their grain, made over real (``metrics.speckle``): 1 is right."""
    return float(np.median(grain(made)) / np.median(grain(real)))


@cache
def probe_images(name: str) -> tuple[Pipeline, np.ndarray, np.ndarray]:
    """What turns flat images into 100 standardised principal components (fewer of small images), those of training
    images, and their labels (N, k)."""
    data = dataset(name)
    rows = Rng(("benchmark", "probe")).permutation(name, data.size("train"))[:N_PROBE].sort().values.numpy()
    x, y = data.evaluation_images("train", rows)
    components = PCA(min(100, data.n_dims // 4), svd_solver="randomized", random_state=0)
    features = make_pipeline(components, StandardScaler())
    return features, features.fit_transform(x.reshape(len(x), -1)), y.reshape(len(y), -1)


@cache
def probe(name: str, column: int) -> LogisticRegression:
    """What reads a label column from those components; fitted once."""
    _, components, labels = probe_images(name)
    return LogisticRegression(max_iter=1000).fit(components, labels[:, column])


def agreement(name: str, images: np.ndarray, labels: np.ndarray) -> float:
    """What a probe sees of the sources' labels in images: the share of right classes, or the mean AUROC of attributes
    (of those that five sources at least have and lack)."""
    seen = probe_images(name)[0].transform(images.reshape(len(images), -1))
    labels = labels.reshape(len(labels), -1)
    if dataset(name).label_kind == "classes":
        return float(np.mean(probe(name, 0).predict(seen) == labels[:, 0]))
    known = [i for i, column in enumerate(labels.T) if 5 <= column.sum() <= len(column) - 5]
    scores = [roc_auc_score(labels[:, i], probe(name, i).predict_proba(seen)[:, 1]) for i in known]
    return float(np.mean(scores))


def in_parts(make: Callable[[Tensor, Rng], Tensor], x: Tensor, rng: Rng, size: int = 100) -> Tensor:
    """``make`` of parts of x, each with a stream of its own."""
    return torch.cat([make(part, rng.at(i)) for i, part in enumerate(x.split(size))])


@torch.no_grad()
def measured(model: Method, data: DataSet, seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """The numbers of a row, and the images of its picture (4 SHOWN, C, H, W)."""
    rng = Rng(("benchmark", seed))
    rows = Rng(("benchmark", "test")).permutation(data.name, data.size("test"))[:N_CODES].numpy()
    images, labels = data.evaluation_images("test", rows)
    everything = torch.from_numpy(images).float()
    z = in_parts(lambda x, _: model.encode(x).mean, everything, rng)
    x, y = everything[:N_IMAGES], labels[:N_IMAGES]
    generated, again = (
        in_parts(lambda code, at: model.generate(code, at, STEPS), z[:n], rng.at("generated", n)).float().numpy()
        for n in (N_IMAGES, SHOWN)
    )
    samples = in_parts(lambda part, at: model.sample(len(part), at, STEPS), x, rng.at("samples")).float().numpy()
    nll = in_parts(lambda part, at: model.nll(part, at).data, x, rng.at("nll"))
    points, losses = swapped_losses(model, x, rng.at("usage"))
    own, ratios = losses["own"].mean(1), (losses["permuted"].mean(1) / losses["own"].mean(1)).tolist()
    row = {
        "bits_per_dim_data": nll.mean().item() / data.n_dims / np.log(2),
        **{f"own_{point}": value for point, value in zip(points, own.tolist(), strict=True)},
        **{f"ratio_{point}": value for point, value in zip(points, ratios, strict=True)},
        "speckle_generated": speckle(generated, x.numpy()),
        "speckle_samples": speckle(samples, x.numpy()),
        "mse_from_code": (in_parts(lambda code, _: model.decode(code), z[:N_IMAGES], rng) - x).square().mean().item(),
        "agreement": agreement(data.name, generated, y),
        "agreement_real": agreement(data.name, x.numpy(), y),
        "auroc_codes": metric("auroc")({"z": z.numpy(), "y": labels}).value,
    }
    return row, np.concatenate([x[:SHOWN].numpy(), generated[:SHOWN], again, samples[:SHOWN]])


def picture(images: np.ndarray, columns: int, magnified: int = 3) -> Image.Image:
    """Images (N, C, H, W) in [0, 1] in rows of ``columns``, each pixel a square of ``magnified`` pixels."""
    n, c, h, w = images.shape
    grid = images.reshape(n // columns, columns, c, h, w).transpose(0, 3, 1, 4, 2).reshape(-1, columns * w, c)
    values = (grid.clip(0, 1) * 255).round().astype(np.uint8)
    pixels = values.repeat(magnified, 0).repeat(magnified, 1)
    return Image.fromarray(pixels if c == 3 else pixels[..., 0])


def known_rows(path: Path) -> list[dict[str, str]]:
    """The rows that are there."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """All rows, whole or not at all."""

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    write_atomically(path, write)


def table(rows: list[dict[str, str]]) -> str:
    """Rows of the file as Markdown."""
    titles = (
        "setting", "steps", "bits/dim", "own loss at u = .1, .3, .5", "permuted/own at .1", "speckle of generated / "
"samples",
        "mse from z", "agreement", "AUROC of codes",
    )  # fmt: skip
    lines = [f"| {' | '.join(titles)} |", "| --- " * len(titles) + "|"]
    for row in rows:
        own = ", ".join(f"{float(row[f'own_u={u}']):,.0f}" for u in (0.1, 0.3, 0.5))
        grain = " / ".join(f"{float(row[f'speckle_{kind}']):.2f}" for kind in ("generated", "samples"))
        values = [f"`{row['setting']}`", row["steps"], f"{float(row['bits_per_dim_data']):.2f}", own]
        values += [f"{float(row['ratio_u=0.1']):.2f}", grain, f"{float(row['mse_from_code']):.4f}"]
        values += [f"{float(row[name]):.3f}" for name in ("agreement", "auroc_codes")]
        lines.append(f"| {' | '.join(values)} |")
    return "\n".join(lines)


def make_row(name: str, setting: Setting, data: DataSet, options: argparse.Namespace) -> dict[str, Any]:
    """Train, measure, and save the picture of a setting."""
    net = Network(**NETWORKS.get(data.name, SQUARES) | setting.network)
    model, seconds, steps = in_budget(setting, data, net, options.seed, options.precision, 60 * options.minutes)
    row, images = measured(model, data, options.seed)
    key = key_of(name, data, options)
    write_atomically(
        options.out / f"{'-'.join(key.values())}.png",
        lambda temporary: picture(images, SHOWN).save(temporary, "PNG", optimize=True),
    )
    numbers = {key: float(f"{value:.5g}") for key, value in row.items()}
    spent = {"seconds": round(seconds, 1), "steps": steps, "parameters": n_parameters(model)}
    return key | spent | numbers


def key_of(name: str, data: DataSet, options: argparse.Namespace) -> dict[str, str]:
    """What tells rows apart, as text."""
    kept = {"precision": options.precision, "minutes": f"{options.minutes:g}", "seed": str(options.seed)}
    return {"data": data.name, "setting": name} | kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="celeba_subset_32")
    parser.add_argument("--minutes", type=float, default=5, help="of processor time for each training")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="of training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", help="names of settings; all if left out")
    parser.add_argument("--out", type=Path, required=True, help="folder of generation.csv and of the pictures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.optim.AdamW([torch.zeros(1)])  # the first one imports for seconds, which the first setting would pay for
    data, path = dataset(options.data), options.out / "generation.csv"
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = settings(flow_of(data))
    for name in options.only or chosen:
        rows, key = known_rows(path), key_of(name, data, options)
        if not any(key.items() <= row.items() for row in rows):
            write_rows(path, [*rows, make_row(name, chosen[name], data, options)])
            print(f"{data.name} {name}: done", flush=True)
    print(table(known_rows(path)))


if __name__ == "__main__":
    main()
