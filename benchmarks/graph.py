"""Time and memory to build the graph of 100, 1,000 and 10,000 jobs (a dry run): `python benchmarks/graph.py [N ...]`.

Printed, never asserted. The jobs are those of sanity rows with many seeds: three jobs per cell and a few for tables and
figures. Time includes Python's and torch's start, about five seconds.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parent.parent
SMALL = {"channels": 4, "multipliers": [1, 2], "blocks": 1, "groups": 2, "latent_dim": 8}


def dry_run(n_jobs: int, folder: Path) -> dict[str, float]:
    """One dry run with about ``n_jobs`` jobs, in ``folder``."""
    seeds = list(range(max(1, round(n_jobs / 3 / 2))))
    preset = {"datasets": ["digits_binarized"], "methods": ["pca", "vae"], "seeds": seeds, "network": SMALL}
    params = {"preset": "many", "presets": {"many": preset | {"train": {"steps": 10}}}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    command = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--dry-run", "--quiet", "rules", "--cores", "1"]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"error: {text[-2000:]}")
    total = re.search(r"^total +(\d+)", text, re.MULTILINE)
    cpu = used.ru_utime + used.ru_stime
    return {
        "jobs": int(total.group(1)),
        "wall_s": round(time.monotonic() - started, 1),
        "cpu_s": round(cpu, 1),
        "peak_mib": used.ru_maxrss // 1024,
    }


if __name__ == "__main__":
    sizes = [int(argument) for argument in sys.argv[1:]] or [100, 1000, 10_000]
    rows = []
    for size in sizes:
        folder = Path(tempfile.mkdtemp(prefix="graph-"))
        try:
            rows.append(dry_run(size, folder))
        finally:
            shutil.rmtree(folder)
    print(pd.DataFrame(rows).to_markdown(index=False))
