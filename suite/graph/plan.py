"""What the workflow builds its graph from: the checked configuration and the names of all files.

Nothing heavy is imported here before it is needed: a job on a cluster parses the Snakefile again, and takes the plan
that the first Snakemake wrote down.
"""

import hashlib
import json
import shlex
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from paramrel.errors import UserError, unknown
from paramrel.files import check_writable, delete, read_record, write_record, write_text
from suite.graph.hashing import file_sha256, short_hash
from suite.graph.locks import busy
from suite.graph.results import FIGURE_NAMES, RESULTS_VERSION, TABLE_NAMES


@dataclass(frozen=True)
class PlannedCell:
    """A cell, as far as the graph needs to know it."""

    dataset: str
    method: str
    variant: str
    seed: int
    path: str
    """Where its files lie below ``runs/`` and ``state/``: ends with the hash of the resolved configuration."""
    trained: bool
    """False for closed-form and untrained methods, which take seconds."""


@dataclass(frozen=True)
class Plan:
    """A preset of a parameter file, below the folders of one benchmark. Plain values only, so that it is also a
    file."""

    config: str
    """The parameter file that every command of the graph is given."""
    name: str
    """Name of the preset."""
    cells: dict[str, PlannedCell]
    """Every cell by its path."""
    codes: str
    """Name of a cell's file of codes."""
    timing: str
    """Name of a cell's file of how long sampling took."""
    metrics: str
    """Name of a cell's file of metrics."""
    control: str
    """Name of a cell's file of metrics on shuffled labels."""
    controlled: list[str]
    """Paths of the cells that have one."""
    explorer: str
    """Name of a cell's file of frames for the report."""
    explored: list[str]
    """Paths of the cells that have one."""
    metric_arguments: str
    """The preset's metrics and their options as ``paramrel evaluate`` takes them."""
    probe_seed: int
    threads: int
    device: str
    n_gpus: int
    """GPUs of the machine that made the plan."""
    trainings_per_gpu: int
    made_from: str
    """Hash of all that decides what stands in the results, the order of lines included."""
    data_versions: dict[str, int] = field(default_factory=dict)
    """Version of every data set that is prepared once before the trainings."""
    steps: dict[str, int] = field(default_factory=dict)
    """Training steps of every trained cell, by its path."""
    runs: str = "runs"
    state: str = "state"
    results: str = "results"

    @classmethod
    def read(cls, overlay: dict[str, Any], for_jobs: bool = False, **folders: str) -> "Plan":
        """From Snakemake's ``config``: ``params`` names the file, ``preset`` the preset.

        Other keys (from --configfile) are merged on top. The result, and ``for_jobs`` in any case, is written out: any
        command of the graph can be copied and run by hand, and who edits the file while jobs run changes nothing for
        them. ``folders`` replace runs, state and results. Raises ``UserError`` for a bad configuration, missing data
        or, ``for_jobs``, a results folder that cannot be written.
        """
        import yaml

        from suite.graph.config import load, merge, parse, resolve
        from suite.graph.written import read_yaml, reread

        written = Path(overlay.get("params", "params.yaml"))
        params = load(written)
        extra = {key: value for key, value in overlay.items() if key not in ("preset", "params", "plan")}
        if extra:
            params = parse(merge(read_yaml(written), reread(extra)), f"{written} with --config or --configfile")
        if extra or for_jobs:
            # YAML, not JSON: its readers take JSON's 1e-05 for a word. Unsorted: tables keep the order of variants.
            text = yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False)
            written = Path("state/configs") / f"{short_hash(text)}.yaml"
            write_text(written, text)
        name = overlay.get("preset", params.preset)
        if name not in params.presets:
            raise unknown("preset", name, params.presets)
        plan = cls._of(str(written), name, resolve(params, name, str(written)), folders)
        if for_jobs:
            check_writable(Path(plan.results) / name)
        return plan

    @classmethod
    def _of(cls, config: str, name: str, preset: Any, folders: dict[str, str]) -> "Plan":
        import torch

        from paramrel.data import dataset
        from paramrel.method import method
        from suite.graph.cells import (  # missing data are an error now, not in an hour
            cells,
            controls,
            explored,
            skipped,
        )
        from suite.graph.names import codes_name, control_name, explorer_name, metrics_name, timing_name

        wanted = cells(preset)
        controlled, shown = ([cell.path for cell in found(preset)] for found in (controls, explored))
        metrics_file, explorer_file = metrics_name(preset.evaluate), explorer_name(preset.evaluate)
        made_from = [
            [cell.path for cell in wanted],
            controlled,
            shown,
            skipped(preset),
            metrics_file,
            explorer_file,
            RESULTS_VERSION,
        ]
        planned = {
            cell.path: PlannedCell(
                cell.dataset, cell.method, cell.variant, cell.seed, cell.path, method(cell.method).trained
            )
            for cell in wanted
        }
        return cls(
            config=config,
            name=name,
            cells=planned,
            codes=codes_name(preset.evaluate),
            timing=timing_name(preset.evaluate),
            metrics=metrics_file,
            control=control_name(preset.evaluate),
            controlled=controlled,
            explorer=explorer_file,
            explored=shown,
            metric_arguments=metric_arguments(preset.evaluate),
            probe_seed=preset.evaluate.probe_seed,
            threads=preset.runtime.threads,
            device=preset.runtime.device,
            n_gpus=torch.cuda.device_count(),
            trainings_per_gpu=preset.runtime.trainings_per_gpu,
            made_from=short_hash(made_from),
            data_versions={name: dataset(name).version for name in preset.datasets if dataset(name).prepared_once},
            steps={cell.path: cell.train.steps for cell in wanted if method(cell.method).trained},
            **folders,
        )

    @classmethod
    def recall(cls, path: Path) -> "Plan":
        """What ``remember`` wrote. Raises ``UserError`` where it is gone or damaged."""
        try:
            known = read_record(path, "cells", "name", remedy="start Snakemake again")
        except FileNotFoundError as error:
            raise UserError(f"{path}, the plan of this run, is gone: start Snakemake again") from error
        cells = {cell: PlannedCell(**planned) for cell, planned in known.pop("cells").items()}
        return cls(cells=cells, **known)

    def remember(self) -> Path:
        """Write the plan down for the jobs of this run; its name changes with what it says."""
        plain = asdict(self)
        path = Path(self.state) / "plans" / f"{short_hash(plain)}.json"
        write_record(path, plain)
        return path

    @cached_property
    def built(self) -> str:
        """Folder of the stamps of what the tables and figures were made from.

        Results are committed, and Snakemake takes a file that exists for done even if what it is made from is
        missing. So each results rule also makes a stamp, which is never committed and whose folder changes with
        the configuration.
        """
        return f"{self.state}/built/{self.name}-{self.made_from}"

    def every(self, name: str) -> list[str]:
        """A file of every cell."""
        return [f"{self.runs}/{cell}/{name}" for cell in self.cells]

    def controls(self) -> list[str]:
        """Files of metrics on shuffled labels."""
        return [f"{self.runs}/{cell}/{self.control}" for cell in self.controlled]

    def explorers(self) -> list[str]:
        """Files of frames for the report."""
        return [f"{self.runs}/{cell}/{self.explorer}" for cell in self.explored]

    def tables(self) -> list[str]:
        """Files of the tables."""
        return table_files(f"{self.results}/{self.name}")

    def figure(self, name: str) -> list[str]:
        """Files of one figure."""
        return [f"{self.results}/{self.name}/figures/{name}.{suffix}" for suffix in ("png", "pdf")]

    @property
    def drawn(self) -> str:
        """Folder in which all figures are drawn at once; each is copied from here, with its stamp."""
        return f"{self.built}/drawn"

    def report(self) -> str:
        """The page of all results."""
        return f"{self.results}/{self.name}/report.html"

    def stamp(self, name: str) -> str:
        """Stamp of the tables ("tables"), of the page ("report") or of a figure."""
        return f"{self.built}/{name}"

    def stamped(self) -> dict[str, list[str]]:
        """What each stamp stands for."""
        figures = {self.stamp(name): self.figure(name) for name in FIGURE_NAMES}
        return {self.stamp("tables"): self.tables()} | figures | {self.stamp("report"): [self.report()]}

    @property
    def prepared(self) -> list[str]:
        """Data sets that are prepared once before the trainings."""
        return list(self.data_versions)

    def card(self, name: str) -> str:
        """The card of a prepared data set, copied to where the graph can see it."""
        return f"{self.state}/data/{name}-v{self.data_versions[name]}.json"

    def targets(self) -> list[str]:
        """Everything that a run of the preset makes."""
        return [path for stamp, files in self.stamped().items() for path in (stamp, *files)]

    def false_stamps(self) -> list[str]:
        """Stamps whose files are no longer what was stamped (edited, of another configuration, of another revision), or
        whose cells' files have changed since."""
        made_from = self.evidence()
        stamped = self.stamped().items()
        return [stamp for stamp, files in stamped if Path(stamp).exists() and not _holds(stamp, files, made_from)]

    def evidence(self) -> str:
        """Hash of what is known of the cells' weights, codes and metrics, for stamps."""
        return evidence(Path(self.runs), self.cells, self.timing, self.metrics)

    def due(self, name: str) -> str:
        """An input of the rule of a stamp, and of the figures' ("drawn"): newer than what it makes, unless that is what
        was stamped."""
        return f"{self.built}/due/{name}"

    def drop_false_stamps(self) -> list[str]:
        """Have results made anew that are not what was stamped; returns the stamps that were false.

        Snakemake takes a file of results that exists for done, whatever became of its stamp: what makes it do them
        again is an input that is newer.
        """
        false = self.false_stamps()
        for stamp in false:
            delete(Path(stamp))
        redo = {"drawn": not self._drawn_holds()} | {
            Path(stamp).name: not Path(stamp).exists() for stamp in self.stamped()
        }
        for name, needed in redo.items():
            if needed or not Path(self.due(name)).exists():
                # Another text each time: Snakemake takes a newer file of the same content for the old one.
                write_text(Path(self.due(name)), f"what is older than {time.time_ns()} is not as it was made\n")
        return false

    def _drawn_holds(self) -> bool:
        """Whether the drawn figures, of which the results are copies, are what was drawn from the cells of now."""
        drawn, made_from = Path(self.drawn), self.evidence()
        return all(_holds(f"{drawn / name}.json", self.figure(name), made_from, drawn) for name in FIGURE_NAMES)

    def drop_stale(self) -> list[str]:
        """Remove what is not of its cell's weights any more, so that it is made anew; returns it. What a process works
        on stays."""
        from suite.graph.chain import stale

        found = []
        for cell in self.cells:
            run = Path(self.runs, cell)
            names = stale(run, self.codes, self.metrics, self.control, self.explorer)
            if names and not busy(Path(self.state), run):
                found += [run / name for name in names]
        for path in found:
            delete(path)
        return [str(path) for path in found]


def metric_arguments(evaluate: Any) -> str:
    """A preset's metrics and their options, as words of a shell."""
    from suite.graph.names import metric_names

    names = [f"--metric {name}" for name in metric_names(evaluate)]
    options = [
        "--option " + shlex.quote(f"{family}.{key}={json.dumps(value)}")
        for family, settings in evaluate.options.items()
        for key, value in settings.items()
    ]
    return " ".join(names + options)


def table_files(folder: str) -> list[str]:
    """Files that ``paramrel table`` writes into a preset's folder of results."""
    files = [f"{stem}.{suffix}" for stem in TABLE_NAMES for suffix in ("csv", "md", "tex")]
    return [f"{folder}/{name}" for name in ("rows.csv", "runs.csv", "metrics.json", "curves.csv", *files)]


def evidence(runs: Path, cells: Iterable[str], *names: str) -> str:
    """Hash of run.json and of the records ``names`` of cells, by their paths: all that is known of how they came
    about."""
    digest = hashlib.sha256()
    for cell in cells:
        for name in ("run.json", *names):
            path = runs / cell / name
            digest.update(f"{path.name} {file_sha256(path) if path.exists() else None}\n".encode())
    return digest.hexdigest()


def evidence_of(preset: Any, runs: Path) -> str:
    """``Plan.evidence`` of a preset's cells."""
    from suite.graph.cells import cells
    from suite.graph.names import metrics_name, timing_name

    paths = [cell.path for cell in cells(preset)]
    return evidence(runs, paths, timing_name(preset.evaluate), metrics_name(preset.evaluate))


def write_stamp(stamp: Path, files: list[str], made_from: str, made_in: Path | None = None) -> None:
    """Record the hashes of finished results; of those that are still to be copied from ``made_in``, if it is given.
    ``made_from``: the cells' ``evidence``."""
    write_record(stamp, _stamp(files, made_from, made_in))


def _stamp(files: list[str], made_from: str, made_in: Path | None) -> dict[str, Any]:
    hashes = {path: file_sha256(made_in / Path(path).name if made_in else Path(path)) for path in files}
    return {"files": hashes, "made_from": made_from}


def _holds(stamp: str, files: list[str], made_from: str, made_in: Path | None = None) -> bool:
    try:
        return read_record(Path(stamp)) == _stamp(files, made_from, made_in)
    except (OSError, UserError):
        return False
