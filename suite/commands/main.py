"""The command line: each command does one thing that a rule of the workflow calls by ``shell:``."""

import json
import os
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from paramrel.errors import UserError
from suite.commands import own
from suite.commands.data import app as data_commands
from suite.commands.oneline import one_line_errors
from suite.commands.options import (
    AnyDataName,
    AnyMethodName,
    Config,
    DataName,
    DryRun,
    MethodName,
    PresetName,
    Results,
    Runs,
    Seed,
    State,
    Variant,
    find_cell,
    find_preset,
)
from suite.commands.results import figures, report, table
from suite.commands.uses import use_commands

# Heavy modules (torch, the methods) are imported inside the commands, so that `paramrel evaluate` on anybody's codes
# and `--help` start at once.

app = typer.Typer(
    help="Train, measure and trace semantic latent generative models.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False,
)  # fmt: skip
app.add_typer(data_commands, name="data")

for use, command in use_commands().items():
    app.command(use)(command)
for made in (figures, table, report):
    app.command()(made)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, sort_keys=True))


@app.command()
@one_line_errors
def train(
    method: MethodName,
    dataset: AnyDataName = None,
    variant: Variant = None,
    seed: Seed = None,
    preset: PresetName = None,
    config: Config = Path("params.yaml"),
    runs: Runs = Path("runs"),
    state: State = Path("state"),
    dry_run: DryRun = False,
    force: Annotated[bool, typer.Option("--force", help="Train anew what is trained already.")] = False,
    images: own.OwnImages = None,
    labels: own.Labels = False,
    size: own.Size = None,
    steps: own.Steps = 2000,
    setting: own.Setting = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the model, with --images.")] = None,
) -> None:
    """Train one cell, or go on where a killed training stopped; with --images a model of your own images."""
    own.one_of(dataset=dataset, images=images)
    if images or dataset is None:
        own.train_own(images or Path(), method, variant, seed or 0, steps, labels, size, setting or [], out)
        return
    from suite.graph.check import check

    chosen, cell = find_cell(config, preset, dataset, method, variant, seed)
    check(cell)
    if dry_run:
        _print_json({"path": str(runs / cell.path), "resolved": cell.resolved, "runtime": chosen.runtime.model_dump()})
        return
    from paramrel.data import dataset as data_set
    from paramrel.files import check_writable, delete, sweep
    from paramrel.training import train as train_method
    from suite.graph.chain import TRAINED, finished
    from suite.graph.locks import hold, take_gpu
    from suite.measure.provenance import begin, trained_by, write_run

    run = runs / cell.path
    with hold(state, run / "run.json") as waited:
        if finished(run) and waited:
            print(f"trained {cell} meanwhile, in another process: {run}")
            return
        if finished(run) and not force:
            raise UserError(f"{cell} is trained already ({run}): --force trains it anew")
        if force:
            shutil.rmtree(state / cell.path, ignore_errors=True)
            delete(run / "run.json")  # first, so that what is not finished is never taken for it
        sweep(run, *TRAINED)
        sweep(state / cell.path)
        data_sha256 = data_set(dataset).fingerprint()  # reads and verifies both splits: damaged data fail now
        for folder in (run, state / cell.path):
            check_writable(folder)
        take_gpu(state)
        begin(state / cell.path)
        seconds = train_method(
            cell.build(), data_set(dataset), cell.seed, cell.train, chosen.runtime, run, state / cell.path, cell.path
        )
        write_run(run, cell, chosen.runtime, data_sha256, seconds, trained_by(state / cell.path))
    print(f"trained {cell} in {seconds:.0f} s: {run}")


@app.command()
@one_line_errors
def encode(
    dataset: AnyDataName = None,
    method: AnyMethodName = None,
    variant: Variant = None,
    seed: Seed = None,
    preset: PresetName = None,
    config: Config = Path("params.yaml"),
    runs: Runs = Path("runs"),
    state: State = Path("state"),
    dry_run: DryRun = False,
    model: own.ModelFolder = None,
    images: own.OwnImages = None,
    labels: own.Labels = False,
    size: own.Size = None,
    out: Annotated[Path | None, typer.Option("--out", help="File of the codes, with --model.")] = None,
) -> None:
    """Write a trained cell's codes, reconstructions, generated images and losses as one .npz file; with --model the
    codes of your own images."""
    own.one_of(dataset=dataset, model=model)
    if model:
        own.encode_own(model, images, size, labels, out)
        return
    if dataset is None or method is None:
        raise UserError("--method is missing: the method that was trained")
    from suite.graph.names import codes_name, timing_name

    chosen, cell = find_cell(config, preset, dataset, method, variant, seed)
    run = runs / cell.path
    if dry_run:
        _print_json({"path": str(run / codes_name(chosen.evaluate)), "evaluate": chosen.evaluate.model_dump()})
        return
    from paramrel.files import sweep
    from suite.graph.locks import hold, take_gpu
    from suite.measure.encode import encode as encode_cell

    with hold(state, run / codes_name(chosen.evaluate)):
        sweep(run, codes_name(chosen.evaluate), timing_name(chosen.evaluate))
        take_gpu(state)
        print(encode_cell(cell, chosen.evaluate, chosen.runtime, run))
    if (run / "run.json").exists():  # the weights were read: the training's last checkpoint is no longer wanted
        shutil.rmtree(state / cell.path, ignore_errors=True)


@app.command()
@one_line_errors
def explore(
    dataset: DataName,
    method: MethodName,
    variant: Variant = None,
    seed: Seed = None,
    preset: PresetName = None,
    config: Config = Path("params.yaml"),
    runs: Runs = Path("runs"),
    state: State = Path("state"),
) -> None:
    """Render the frames of the report's explorer from a cell's weights and codes."""
    from paramrel.files import sweep
    from suite.graph.locks import hold, take_gpu
    from suite.graph.names import explorer_name
    from suite.measure.frames import explore as explore_cell

    chosen, cell = find_cell(config, preset, dataset, method, variant, seed)
    run = runs / cell.path
    with hold(state, run / explorer_name(chosen.evaluate)):
        sweep(run, explorer_name(chosen.evaluate))
        take_gpu(state)
        print(explore_cell(cell, chosen.evaluate, chosen.runtime, run))


@app.command()
@one_line_errors
def evaluate(
    codes: Annotated[Path, typer.Argument(help=".npz file with z (N, d) and y (N,) or (N, k) or attributes (N, A).")],
    out: Annotated[
        Path | None, typer.Option("--out", help="File of the rows and what stands behind them; none: only print.")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", help="Metric, repeatable; all that apply if none, but for those that are measured only by name."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Decides folds and draws.")] = 0,
    option: Annotated[
        list[str] | None, typer.Option("--option", help="Option of a metric, repeatable: dci.n_trees=40.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=-1, help="Processes; -1: one per core. No number changes.")] = 1,
    shuffle_labels: Annotated[
        bool, typer.Option("--shuffle-labels", help="The control: metrics that read labels, on shuffled ones.")
    ] = False,
    missing: Annotated[
        str | None, typer.Option("--missing", help="Label that means that there is none: -1, nan, a word.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="json, md or csv: of the file (json if none), or of what is printed.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", help="Folder of locks, for `paramrel status`, and of fitted pixel probes.")
    ] = None,
) -> None:
    """Measure codes, anybody's: no model is needed. `paramrel list metrics` shows them."""
    from contextlib import nullcontext

    from paramrel.files import sweep
    from suite.graph.locks import hold
    from suite.measure.evaluate import NO_ARRAY, evaluate_to, parse_options
    from suite.measure.evaluate import evaluate as measure
    from suite.measure.shown import form_called, lines, shown

    names, chosen = tuple(metric or ()), form_called(form)
    more: dict[str, Any] = {
        "given": parse_options(option or ()),
        "jobs": jobs or 1,
        "shuffled": shuffle_labels,
        "missing_label": missing,
        "kept": state / "evaluate" if state else None,
    }
    if out is None:
        result = measure(codes, names, seed, **more)
        if chosen:
            print(shown(result, chosen), end="")
            return
    else:
        with hold(state, out) if state else nullcontext():
            if state:
                sweep(out.parent, out.name)
            result = evaluate_to(codes, names, seed, out, chosen or "json", **more)
    said = [row for row in result["rows"] if metric or row["value"] is not None or not row["note"].startswith(NO_ARRAY)]
    print("\n".join(lines(said)))
    if len(said) < len(result["rows"]):
        where = f"{out} says why" if out else "--format md says why"
        print(f"{len(result['rows']) - len(said)} more have no value on this file; {where}")


@app.command(name="list")
@one_line_errors
def list_members(what: Annotated[str, typer.Argument(help="methods, datasets or metrics")]) -> None:
    """List what is registered, and what is broken and why."""
    from suite.commands.listing import listing

    print("\n".join(listing(what)))


@app.command()
@one_line_errors
def status(
    preset: PresetName = None,
    config: Config = Path("params.yaml"),
    runs: Runs = Path("runs"),
    state: State = Path("state"),
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed, with logs.")] = False,
    json_too: Annotated[bool, typer.Option("--json", help="Every job, for other programs.")] = False,
    at_once: Annotated[
        int, typer.Option("--at-once", min=1, help="Jobs at a time, for the expected time.")
    ] = os.cpu_count() or 1,
    snakemake_log: Annotated[
        Path | None, typer.Option("--snakemake-log", help="Also what this log calls failed.")
    ] = None,
) -> None:
    """Print what is done, running, failed and missing of a preset; also while Snakemake runs."""
    from suite.graph.plan import Plan
    from suite.graph.status import as_json, as_text, jobs, other_failures

    overlay = {"params": str(config)} | ({"preset": preset} if preset else {})
    plan = Plan.read(overlay, runs=str(runs), state=str(state))
    if json_too:
        _print_json(as_json(plan, jobs(plan)))
        return
    print(as_text(plan, at_once, failed))
    others = other_failures(snakemake_log) if snakemake_log else []
    if others:
        print("\n".join(["Also failed:", *others]))


@app.command()
@one_line_errors
def trace(
    table: Annotated[str, typer.Argument(help="A table: results/quick/table2.csv, or table2.")],
    row: Annotated[
        str, typer.Argument(help="Row label, e.g. 'ParamReL_d (ahead)', or 'DATA SET / METHOD' where several have it.")
    ],
    column: Annotated[str, typer.Argument(help="Column heading, or enough of it.")],
    preset: PresetName = None,
    config: Config = Path("params.yaml"),
    runs: Runs = Path("runs"),
    results: Results = Path("results"),
) -> None:
    """Print where a number of a table comes from: rows, files, configuration, code, data, machine."""
    from suite.show.trace import trace as trace_cell

    path = Path(table)
    if path.suffix == "":
        path = results / find_preset(config, preset)[0] / f"{table}.csv"
    print(trace_cell(path.with_suffix(".csv"), row, column, runs))


@app.command()
@one_line_errors
def prune(
    config: Config = Path("params.yaml"),
    runs: Runs = Path("runs"),
    state: State = Path("state"),
    yes: Annotated[bool, typer.Option("--yes", help="Delete; otherwise they are only listed.")] = False,
) -> None:
    """List or delete trained cells and evaluations that no preset of the parameter file uses any more."""
    from suite.graph.config import load
    from suite.graph.prune import remove, size_mib, stale

    found = stale(load(config), str(config), runs, state)
    for path in found:
        print(path)
    print(f"{len(found)} stale, {size_mib(found):.1f} MiB" + ("" if yes or not found else ": --yes deletes them"))
    if yes:
        remove(found, state)


@app.command("check-config")
@one_line_errors
def check_config(
    config: Config = Path("params.yaml"),
    preset: PresetName = None,
    schema: Annotated[Path | None, typer.Option("--schema", help="Also write the JSON Schema here.")] = None,
) -> None:
    """Check the parameter file and every training of a preset; print the preset with everything filled in."""
    from paramrel.files import write_json
    from suite.graph.check import checked
    from suite.graph.config import schema as json_schema

    name, chosen = find_preset(config, preset)
    if schema:
        write_json(schema, json_schema())
    _print_json({name: checked(chosen)})


if __name__ == "__main__":
    app()
