"""Commands that make the results of a preset: figures, tables, the page."""

from pathlib import Path
from typing import Annotated

import typer

from suite.commands.oneline import one_line_errors
from suite.commands.options import Config, PresetName, Results, Runs, Stamp, State, find_preset


@one_line_errors
def figures(
    preset: PresetName = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Figure, repeatable.")] = None,
    config: Config = Path("params.yaml"),
    runs: Runs = Path("runs"),
    state: State = Path("state"),
    results: Results = Path("results"),
    drawn: Annotated[
        Path | None,
        typer.Option("--drawn", help="Draw into this folder instead, each with the stamp of its copy in the results."),
    ] = None,
) -> None:
    """Draw the figures of a preset from its cells' arrays."""
    from paramrel.errors import unknown
    from suite.graph.locks import hold
    from suite.graph.plan import evidence_of, write_stamp
    from suite.show.figures import FIGURES, save

    name, chosen = find_preset(config, preset)
    for figure in only or FIGURES:
        if figure not in FIGURES:
            raise unknown("figure", figure, FIGURES)
    folder = results / name / "figures"
    made_from = evidence_of(chosen, runs) if drawn else ""  # before anything is read
    with hold(state, drawn or folder):
        for figure in only or FIGURES:
            save(FIGURES[figure].make(chosen, runs), (drawn or folder) / figure)
            if drawn:
                files = [f"{folder / figure}.{suffix}" for suffix in ("png", "pdf")]
                write_stamp(drawn / f"{figure}.json", files, made_from, drawn)
            print(f"{(drawn or folder) / figure}.png")


@one_line_errors
def table(
    preset: PresetName = None,
    config: Config = Path("params.yaml"),
    runs: Runs = Path("runs"),
    state: State = Path("state"),
    results: Results = Path("results"),
    stamp: Stamp = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="What is not evaluated gets a dash with the reason, not an error.")
    ] = False,
    from_rows: Annotated[
        bool,
        typer.Option(
            "--from-rows", help="Make the tables from the rows.csv and runs.csv that are there; needs no runs."
        ),
    ] = False,
) -> None:
    """Collect the rows of a preset and write its tables; print the paper's two and whether latents are used."""
    from suite.graph.cells import skipped
    from suite.graph.locks import hold
    from suite.graph.plan import evidence_of, table_files, write_stamp
    from suite.measure.rows import collect, read_rows, write_rows
    from suite.measure.runs import read_runs, write_runs
    from suite.show.summary import write_summary
    from suite.show.tables import write_tables

    name, chosen = find_preset(config, preset)
    folder = results / name
    made_from = evidence_of(chosen, runs) if stamp else ""  # before anything is read
    with hold(state, folder / "rows.csv"):
        if not from_rows:
            rows, provenance = collect(chosen, runs, partial)
            write_rows(rows, folder / "rows.csv")
            write_runs(provenance, folder / "runs.csv")
        written = read_rows(folder / "rows.csv")
        write_tables(written, read_runs(folder / "runs.csv") if (folder / "runs.csv").exists() else None, name, folder)
        if not from_rows:
            write_summary(chosen, written, runs, folder)
        if stamp:
            write_stamp(stamp, table_files(f"{folder}"), made_from)
    for shown in ("table2", "table3", "latent_usage"):
        print((folder / f"{shown}.md").read_text())
    for data, method, reason in skipped(chosen):
        print(f"{method} was not run on {data}: {reason}")


@one_line_errors
def report(
    preset: PresetName = None,
    config: Config = Path("params.yaml"),
    runs: Runs = Path("runs"),
    state: State = Path("state"),
    results: Results = Path("results"),
    stamp: Stamp = None,
    drawn: Annotated[
        Path | None, typer.Option("--drawn", help="Folder of the figures; those in the results if none.")
    ] = None,
) -> None:
    """Write one page of all results: tables, figures, what failed, where every number comes from."""
    from suite.graph.locks import hold
    from suite.graph.plan import evidence_of, write_stamp
    from suite.show.report import write_report

    name, chosen = find_preset(config, preset)
    page = results / name / "report.html"
    made_from = evidence_of(chosen, runs) if stamp else ""  # before anything is read
    with hold(state, page):
        size = write_report(chosen, name, config, runs, state, page, drawn)
        if stamp:
            write_stamp(stamp, [str(page)], made_from)
    print(f"{page}: {size / 1e6:.1f} MB")
