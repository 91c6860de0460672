"""How much of a whole run is not work: `python benchmarks/overhead.py [PRESET] [CORES]`, from a clean copy of the
project.

    idle = 1 - (seconds of all jobs x threads) / (cores x wall)

is what the graph costs: Snakemake's start, waiting at its ends, cores without a job. Beside it stands the same with the
start of Python and torch (measured here, once per job) counted as no work either. Printed, never asserted.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
IMPORTS = {
    "train": "torch, suite.graph.cells",
    "encode": "torch, suite.measure.encode",
    "evaluate": "suite.measure.evaluate, sklearn.linear_model",
}
IMPORTS["control"] = IMPORTS["evaluate"]
IMPORTS |= {"explore": "torch, suite.measure.frames", "report": "torch, suite.show.report"}
IMPORTS |= {"tables": "torch, suite.show.tables", "figures": "torch, suite.show.figures", "data": "paramrel.data"}


def seconds_to_start(modules: str) -> float:
    """Seconds of an otherwise idle core to start Python and import, the better of two."""
    times = []
    for _ in range(2):
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", f"import {modules}"], cwd=ROOT, check=True)
        times.append(time.monotonic() - started)
    return min(times)


def measure(preset: str, cores: int, folder: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    command = ["snakemake", "--cores", str(cores), "--quiet", "all", "--config", f"preset={preset}"]
    started = time.monotonic()
    subprocess.run(command, cwd=folder, env=environment, check=True)
    show(f"preset {preset}", cores, time.monotonic() - started, folder)


def show(name: str, cores: int, wall: float, folder: Path) -> None:
    """Print what the jobs recorded in a project that was made from nothing in ``wall`` seconds."""
    stages = [
        (path.relative_to(folder / "logs/benchmark").parts[0], float(pd.read_csv(path, sep="\t")["s"].iloc[0]))
        for path in (folder / "logs/benchmark").rglob("*.tsv")
    ]
    table = (
        pd.DataFrame(stages, columns=["stage", "s"]).groupby("stage").s.agg(jobs="size", total_s="sum", longest_s="max")
    )
    table["start_s"] = [seconds_to_start(IMPORTS[stage]) for stage in table.index]
    work, starts = table.total_s.sum(), (table.jobs * table.start_s).sum()
    print(table.round(1).to_markdown())
    print(f"{name}, {cores} cores: wall {wall:.0f} s, jobs {work:.0f} s, of which starts {starts:.0f} s")
    print(f"idle: {1 - work / (cores * wall):.1%}; with starts: {1 - (work - starts) / (cores * wall):.1%}")


if __name__ == "__main__":
    place = Path(tempfile.mkdtemp(prefix="overhead-"))
    try:
        measure(sys.argv[1] if len(sys.argv) > 1 else "quick", int(sys.argv[2]) if len(sys.argv) > 2 else 2, place)
    finally:
        shutil.rmtree(place)
