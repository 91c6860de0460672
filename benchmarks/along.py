"""Disentanglement along a training that is under way: ``python -m benchmarks.along --help``.

Run it beside ``paramrel train`` (or after each of its commands). Whenever the training has written a checkpoint, the
averaged weights in it are taken, codes of test images are made, and D, C, I and the FactorVAE score are added to a
table; at the end those of the finished training. How often that is, is the preset's ``runtime.checkpoint_every``.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from metrics import metric
from paramrel.checkpoint import load_weights
from paramrel.data import dataset
from paramrel.devices import choose_device
from paramrel.method import Method
from suite.graph.cells import Cell, find, run_dir
from suite.graph.config import load, resolve
from suite.measure.encode import batches, drawn

AVERAGED = "ema.module."
SCORES = ("dci", "dci_completeness", "dci_informativeness", "factor_vae")


def averaged(checkpoint: Path, model: Method) -> int:
    """Load the averaged weights of a checkpoint into ``model``; returns the step after which it was written."""
    with safe_open(checkpoint, "pt") as file:
        names = [name for name in file.keys() if name.startswith(AVERAGED)]  # noqa: SIM118 (no mapping)
        model.load_state_dict({name.removeprefix(AVERAGED): file.get_tensor(name) for name in names})
        return int(file.metadata()["step"])


def measure(cell: Cell, model: Method, device: torch.device, n_codes: int, trees: int) -> dict[str, float]:
    """Scores of the codes of ``n_codes`` test images, on one split of 80 / 20."""
    data = dataset(cell.dataset)
    images, y = data.evaluation_images("test", drawn(data, "test", n_codes))
    with torch.no_grad():
        z = torch.cat([model.encode(x).mean.cpu() for x in batches(model, images, device)]).numpy()
    options = {name: {"n_trees": trees, "n_folds": 1} if name.startswith("dci") else {} for name in SCORES}
    return {name: round(metric(name, options[name])({"z": z, "y": np.asarray(y)}, 0).value, 4) for name in SCORES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("dataset", "method", "variant"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--preset", default="tokens_64")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", type=Path, default=Path("params.yaml"))
    parser.add_argument("--state", type=Path, default=Path("state"))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("along.csv"))
    parser.add_argument("--n-codes", type=int, default=4000)
    parser.add_argument("--trees", type=int, default=40)
    parser.add_argument("--once", action="store_true", help="measure the checkpoint that is there and stop")
    given = parser.parse_args()
    preset = resolve(load(given.config), given.preset)
    cell = find(preset, given.dataset, given.method, given.variant, given.seed)
    checkpoint, finished = given.state / cell.path / "state.safetensors", run_dir(given.runs, cell) / "run.json"
    device = choose_device(preset.runtime)
    model = cell.build().to(device).eval()
    rows = list(csv.DictReader(given.out.open())) if given.out.exists() else []
    known = {int(row["step"]) for row in rows if row["cell"] == str(cell)}
    while True:
        ended = finished.exists()
        try:
            step = averaged(checkpoint, model)
        except FileNotFoundError:  # not yet written, or the training has ended
            step = cell.train.steps if ended else None
            if ended:
                load_weights(run_dir(given.runs, cell) / "model.safetensors", model)
        if step is not None and step not in known:
            row = {"cell": str(cell), "step": step, **measure(cell, model, device, given.n_codes, given.trees)}
            print(row, flush=True)
            with given.out.open("a", newline="") as file:
                writer = csv.DictWriter(file, row)
                if not rows and not known:
                    writer.writeheader()
                writer.writerow(row)
            known.add(step)
        if given.once or ended:
            break
        time.sleep(5)


if __name__ == "__main__":
    main()
