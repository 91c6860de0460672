"""What is done, running, failed or missing of a preset, from the files alone: works while the graph runs, and after."""

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from suite.graph.chain import faults
from suite.graph.locks import holder, lock_path, running
from suite.graph.plan import Plan, PlannedCell

STAGES = ("train", "encode", "evaluate", "control", "explore")
STATES = ("done", "running", "failed", "waiting")
GUESSED_SECONDS = {"train": 60.0, "encode": 15.0, "evaluate": 8.0, "control": 8.0, "explore": 15.0}
"""For stages of which nothing is known yet."""


@dataclass(frozen=True)
class Job:
    """One stage of one cell."""

    cell: PlannedCell
    stage: str
    state: str
    """One of ``STATES``: failed is what has written a log, is not running and is not there."""
    log: Path
    note: str = ""
    """Where it runs, how far it is, or the last line of its log."""
    done_frac: float = 0.0
    """Part of a running training that is behind it."""


def jobs(plan: Plan, logs: Path = Path("logs")) -> list[Job]:
    """Every stage of every cell; few cells have a control or frames for the explorer."""
    refused = never_submitted(newest_log())
    some = {"control": set(plan.controlled), "explore": set(plan.explored)}
    return [
        _job(plan, cell, stage, logs, refused)
        for cell in plan.cells.values()
        for stage in STAGES
        if stage not in some or cell.path in some[stage]
    ]


def output(plan: Plan, cell: PlannedCell, stage: str) -> Path:
    """The file that a stage makes last."""
    evaluated = {"evaluate": plan.metrics, "control": plan.control, "explore": plan.explorer}
    return Path(plan.runs) / cell.path / ({"train": "run.json", "encode": plan.codes} | evaluated)[stage]


def _checked(plan: Plan, stage: str) -> tuple[str, ...]:
    """Files of a cell that must be of each other for a stage to be done."""
    made = {"evaluate": plan.metrics, "control": plan.control, "explore": plan.explorer}
    before = ("run.json",) if stage == "train" else ("run.json", plan.timing, plan.codes)
    return before + ((made[stage],) if stage in made else ())


def _job(plan: Plan, cell: PlannedCell, stage: str, logs: Path, refused: dict[str, str]) -> Job:
    path, log = output(plan, cell, stage), logs / stage / f"{cell.path}.log"
    if path.exists():
        wrong = next(faults(path.parent, *_checked(plan, stage), whole=False), None)
        return Job(cell, stage, "waiting", log, wrong.reason) if wrong else Job(cell, stage, "done", log)
    owner = holder(lock_path(Path(plan.state), path))
    if owner is not None:
        done, note = _progress(plan, cell) if stage == "train" else (0.0, "")
        where = f"on {owner.get('host', '?')}" + (f", Slurm job {owner['slurm']}" if "slurm" in owner else "")
        since = max(0.0, time.time() - owner.get("started", time.time()))
        return Job(cell, stage, "running", log, f"{where}, for {show_seconds(since)}{note}", done)
    # A later stage's log may be of an earlier configuration's run of the same cell: it must be newer than its input.
    before = {"encode": "train", "evaluate": "encode", "control": "encode", "explore": "encode"}
    previous = output(plan, cell, before[stage]) if stage != "train" else None
    if log.exists() and (previous is None or (previous.exists() and log.stat().st_mtime >= previous.stat().st_mtime)):
        return Job(cell, stage, "failed", log, why(log, refused))
    return Job(cell, stage, "waiting", log)


def _progress(plan: Plan, cell: PlannedCell) -> tuple[float, str]:
    """Part that is done, and words for it, from the training's own log."""
    steps = plan.steps.get(cell.path, 0)
    try:
        lines = (Path(plan.state) / cell.path / "metrics.jsonl").read_text().splitlines()
        done = json.loads(lines[-1])["step"] + 1
    except (OSError, ValueError, IndexError, KeyError):
        return 0.0, ""
    return (done / steps, f", step {done} of {steps}") if steps else (0.0, f", step {done}")


def why(log: Path, refused: dict[str, str]) -> str:
    """Why a job failed: the last line of its log that says something (progress and the device say nothing); of an empty
    log, which Snakemake makes for a job that never ran, what the cluster said."""
    text = log.read_text(errors="replace").replace("\r", "\n")
    if not text and str(log) in refused:
        return f"never submitted: {refused[str(log)]}"
    quiet = ("it/s", "s/it", "device: ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not any(word in line for word in quiet)]
    return lines[-1] if lines else "it was killed: its log says nothing"


def newest_log() -> Path | None:
    """The log of the Snakemake that began last in this folder."""
    return max(Path(".snakemake/log").glob("*.snakemake.log"), default=None)


def failures(log: Path | None) -> list[tuple[str, list[str], str]]:
    """What Snakemake's own log calls failed: (rule or group, logs of its jobs, all that is said of it)."""
    text = log.read_text(errors="replace") if log and log.exists() else ""
    blocks = re.findall(r"^Error in (?:rule|group|group job) ([^:\n]+):\n(.*?)(?=^\[|^Error in |\Z)", text, re.M | re.S)
    return [(name, re.findall(r"^\s+log: (\S+)", block, re.M), block) for name, block in blocks]


def never_submitted(log: Path | None) -> dict[str, str]:
    """Logs of jobs that Slurm refused -> what it said."""
    found: dict[str, str] = {}
    for _, logs, block in failures(log):
        said = re.search(r"SLURM sbatch failed. The error message was '(.*?)'\.\n", block, re.S)
        if said:
            found |= dict.fromkeys(logs, " ".join(said[1].replace("sbatch: error:", "").split()))
    return found


def seconds_per_stage(plan: Plan, logs: Path) -> dict[tuple[str, str, str], float]:
    """(stage, data set, method) -> mean seconds, from Snakemake's benchmark files of finished jobs."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for cell in plan.cells.values():
        for stage in STAGES:
            path = logs / "benchmark" / stage / f"{cell.path}.tsv"
            if path.exists() and output(plan, cell, stage).exists():
                value = float(pd.read_csv(path, sep="\t")["s"].iloc[0])
                found.setdefault((stage, cell.dataset, cell.method), []).append(value)
    return {key: sum(values) / len(values) for key, values in found.items()}


def remaining_seconds(plan: Plan, everything: list[Job], logs: Path = Path("logs")) -> tuple[float, int]:
    """(expected seconds of work that is left, how many jobs of it were never timed on anything like them).

    A job is expected to take what the same method took on the same data; else what its stage took on average of the
    trained or untrained methods; else a guess.
    """
    known = seconds_per_stage(plan, logs)
    total, guessed = 0.0, 0
    for job in everything:
        if job.state == "done":
            continue
        value = known.get((job.stage, job.cell.dataset, job.cell.method))
        if value is None:
            alike = {cell.method for cell in plan.cells.values() if cell.trained == job.cell.trained}
            near = [seconds for (stage, _, name), seconds in known.items() if stage == job.stage and name in alike]
            guessed += not near
            value = sum(near) / len(near) if near else GUESSED_SECONDS[job.stage]
        total += value * (1 - job.done_frac)
    return total, guessed


def results_state(plan: Plan) -> dict[str, str]:
    """State of the tables, of each figure and of the page: done only if the files are what was stamped."""
    false = set(plan.false_stamps())
    return {
        Path(stamp).name: "done" if Path(stamp).exists() and stamp not in false else "waiting"
        for stamp in plan.stamped()
    }


def as_text(plan: Plan, at_once: int, failed_only: bool = False) -> str:
    """The report of ``paramrel status``. ``at_once``: jobs at a time, for the expected time."""
    everything = jobs(plan)
    failed = [job for job in everything if job.state == "failed"]
    if failed_only:
        return show_failed(failed)
    counts = pd.crosstab([job.stage for job in everything], [job.state for job in everything])
    counts = counts.reindex(index=STAGES, columns=STATES, fill_value=0).rename_axis(index="stage", columns=None)
    lines = [f"preset {plan.name}: {len(plan.cells)} cells", "", counts.to_markdown(), ""]
    lines += ["results: " + ", ".join(f"{name} {state}" for name, state in results_state(plan).items()), ""]
    lines += [f"running {job.stage} {job.cell.path} {job.note}" for job in everything if job.state == "running"]
    lines += [f"not done: {job.stage}: {job.note}" for job in everything if job.state == "waiting" and job.note]
    lines += [show_failed(failed)] if failed else []
    lines.append("Snakemake is at work here." if running(Path(plan.state)) else "No Snakemake is at work here.")
    seconds, guessed = remaining_seconds(plan, everything)
    left = sum(job.state != "done" for job in everything)
    if left:
        unsure = f"; {guessed} of them are guesses" if guessed else ""
        lines.append(
            f"{left} jobs left: about {show_seconds(seconds / at_once)} with {at_once} at a time "
            f"({show_seconds(seconds)} of work{unsure})."
        )
    return "\n".join(lines)


def show_failed(failed: list[Job]) -> str:
    """One block: what failed, why, and where the whole log is."""
    if not failed:
        return "No job of a cell failed."
    lines = [f"{len(failed)} failed; the same command tries them again, a training goes on from its checkpoint:"]
    for job in failed:
        lines += [f"  {job.stage} {job.cell.path}", f"    {job.note}", f"    log: {job.log}"]
    return "\n".join(lines)


def other_failures(log: Path) -> list[str]:
    """Rules that Snakemake's own log calls failed, with what it says of their logs; for rules that no cell has."""
    found = []
    for rule, logs, _ in failures(log):
        if not set(STAGES) & {Path(path).parts[1] for path in logs if path.startswith("logs/")}:
            found.append(f"  {rule}: {', '.join(logs) or 'no log'}")
    return list(dict.fromkeys(found))


def show_seconds(seconds: float) -> str:
    """ "12 s", "3 min", "2 h 05 min", "4 d 6 h"."""
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def as_json(plan: Plan, everything: list[Job]) -> list[dict[str, Any]]:
    """For other programs."""
    return [
        {"cell": job.cell.path, "stage": job.stage, "state": job.state, "log": str(job.log), "note": job.note}
        for job in everything
    ]
