"""Options that several commands have, and what they name."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Option("--config", help="Parameter file.")]
PresetName = Annotated[
    str | None, typer.Option("--preset", help="Preset of the parameter file; its own default if none.")
]
DataName = Annotated[str, typer.Option("--dataset", help="Data set; see `paramrel list datasets`.")]
AnyDataName = Annotated[str | None, typer.Option("--dataset", help="Data set; see `paramrel list datasets`.")]
MethodName = Annotated[str, typer.Option("--method", help="Method; see `paramrel list methods`.")]
AnyMethodName = Annotated[str | None, typer.Option("--method", help="Method; see `paramrel list methods`.")]
Variant = Annotated[str | None, typer.Option("--variant", help="Variant of the method; its first if none.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed; the preset's first if none.")]
Runs = Annotated[Path, typer.Option("--runs", help="Folder of trained models and codes.")]
State = Annotated[Path, typer.Option("--state", help="Folder of training checkpoints, for resuming.")]
Results = Annotated[Path, typer.Option("--results", help="Folder of tables and figures.")]
Stamp = Annotated[Path | None, typer.Option("--stamp", help="Also record the hashes of what was made in this file.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved configuration and stop.")]


def find_preset(config: Path, name: str | None):
    """(name, preset) of a parameter file; its own default if ``name`` is None."""
    from suite.graph.config import load, resolve

    params = load(config)
    chosen = name or params.preset
    return chosen, resolve(params, chosen, str(config))


def find_cell(config: Path, preset: str | None, data: str, method: str, variant: str | None, seed: int | None):
    """(preset, cell) that a command line names."""
    from suite.graph.cells import find

    chosen = find_preset(config, preset)[1]
    return chosen, find(chosen, data, method, variant, seed)
