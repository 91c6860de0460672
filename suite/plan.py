"""What the workflow builds its graph from: the checked configuration and the names of all files."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from paramrel.data import dataset
from paramrel.errors import unknown
from paramrel.files import check_writable, write_json
from suite.cells import Cell, cells, controls, short_hash
from suite.config import Params, Preset, load, merge, parse, resolve
from suite.names import codes_name, control_name, metric_names, metrics_name
from suite.results import FIGURE_NAMES, RESULTS_VERSION

TABLE_STEMS = ("table2", "latent_usage")


@dataclass(frozen=True)
class Plan:
    """A preset of a parameter file, below the folders of one benchmark."""

    config: Path
    """The parameter file that every command of the graph is given."""
    params: Params
    name: str
    """Name of the preset."""
    preset: Preset
    runs: str = "runs"
    state: str = "state"
    results: str = "results"

    @classmethod
    def read(cls, overlay: dict[str, Any]) -> "Plan":
        """From Snakemake's ``config``: ``params`` names the file, ``preset`` the preset.

        Other keys (from --configfile) are merged on top and the result is written out, so that any command of the
        graph can be copied and run by hand. Raises ``UserError`` for a bad configuration, missing data or a
        results folder that cannot be written.
        """
        written = Path(overlay.get("params", "params.yaml"))
        params = load(written)
        extra = {key: value for key, value in overlay.items() if key not in ("preset", "params")}
        if extra:
            raw = yaml.safe_load(written.read_text())
            params = parse(merge(raw, extra), f"{written} with --configfile")
            content = params.model_dump(mode="json")
            written = Path("state/configs") / f"{short_hash(content)}.json"
            write_json(written, content)
        name = overlay.get("preset", params.preset)
        if name not in params.presets:
            raise unknown("preset", name, params.presets)
        plan = cls(written, params, name, resolve(params, name, str(written)))
        plan.cells  # missing data are an error now, not in an hour  # noqa: B018
        check_writable(Path(plan.results) / name)
        return plan

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Every cell by its path."""
        return {cell.path: cell for cell in cells(self.preset)}

    @property
    def codes(self) -> str:
        return codes_name(self.preset.evaluate)

    @property
    def metrics(self) -> str:
        return metrics_name(self.preset.evaluate)

    @property
    def metric_names(self) -> tuple[str, ...]:
        return metric_names(self.preset.evaluate)

    @property
    def control(self) -> str:
        return control_name(self.preset.evaluate)

    @property
    def metric_arguments(self) -> str:
        """The preset's metrics and their options as ``paramrel evaluate`` takes them."""
        names = [f"--metric {name}" for name in self.metric_names]
        options = [
            f"--option {family}.{key}={json.dumps(value)}"
            for family, settings in self.preset.evaluate.options.items()
            for key, value in settings.items()
        ]
        return " ".join(names + options)

    @cached_property
    def built(self) -> str:
        """Folder of the stamps of what the tables and figures were made from.

        Results are committed, and Snakemake takes a file that exists for done even if what it is made from is
        missing. So each results rule also makes a stamp, which is never committed and whose folder changes with
        the configuration.
        """
        return f"{self.state}/built/{self.name}-{short_hash([sorted(self.cells), self.metrics, RESULTS_VERSION])}"

    def card(self, name: str) -> str:
        """The card of a prepared data set, copied to where the graph can see it."""
        return f"{self.state}/data/{name}-v{dataset(name).version}.json"

    @property
    def prepared(self) -> list[str]:
        """Data sets of the preset that are prepared once before the trainings."""
        return [name for name in self.preset.datasets if dataset(name).prepared_once]

    def every(self, name: str) -> list[str]:
        """A file of every cell."""
        return [f"{self.runs}/{cell}/{name}" for cell in self.cells]

    def controls(self) -> list[str]:
        """Files of metrics on shuffled labels."""
        return [f"{self.runs}/{cell.path}/{self.control}" for cell in controls(self.preset)]

    def tables(self) -> list[str]:
        """Files of the tables."""
        folder = f"{self.results}/{self.name}"
        files = [f"{folder}/{stem}.{suffix}" for stem in TABLE_STEMS for suffix in ("csv", "md", "tex")]
        return [f"{folder}/rows.csv", f"{folder}/runs.csv", *files]

    def figure(self, name: str) -> list[str]:
        """Files of one figure."""
        return [f"{self.results}/{self.name}/figures/{name}.{suffix}" for suffix in ("png", "pdf")]

    def stamp(self, name: str) -> str:
        """Stamp of the tables ("tables") or of a figure."""
        return f"{self.built}/{name}"

    def targets(self) -> list[str]:
        """Everything that a run of the preset makes."""
        figures = [path for name in FIGURE_NAMES for path in self.figure(name)]
        return self.tables() + figures + [self.stamp(name) for name in ("tables", *FIGURE_NAMES)]
