"""Time and memory of each stage of the graph, from Snakemake's own benchmark files (logs/benchmark).

Run after `make quickstart` or any `snakemake`: `python benchmarks/stages.py`. Numbers are of this machine and of the
last run of each job; they are printed, never asserted.
"""

import sys
from pathlib import Path

import pandas as pd


def stages(folder: Path) -> pd.DataFrame:
    """One row per stage: jobs, summed seconds, the longest job's seconds, largest peak memory in MiB."""
    parts = [
        pd.read_csv(path, sep="\t").assign(stage=path.relative_to(folder).parts[0]) for path in folder.rglob("*.tsv")
    ]
    if not parts:
        sys.exit(f"error: no benchmark files under {folder}: run snakemake first")
    jobs = pd.concat(parts)
    jobs["max_rss"] = pd.to_numeric(jobs["max_rss"], errors="coerce")
    table = jobs.groupby("stage").agg(
        jobs=("s", "size"), total_s=("s", "sum"), longest_s=("s", "max"), peak_mib=("max_rss", "max")
    )
    order = ("train", "encode", "explore", "evaluate", "control", "tables", "figures", "report")
    return table.reindex([name for name in order if name in table.index])


if __name__ == "__main__":
    print(stages(Path("logs/benchmark")).round(1).to_markdown())
