"""``paramrel data``: what data sets there are, making them ready, checking them, looking at them."""

import json
from pathlib import Path
from typing import Annotated

import typer

from suite.commands.oneline import one_line_errors

app = typer.Typer(help="Prepare, check and look at data sets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Data set; see `paramrel data list`.")]


@app.command("list")
@one_line_errors
def list_() -> None:
    """Every data set: shape, type, labels, size when prepared, and whether it is ready, found or missing."""
    from paramrel.data import DATASETS, DataSet
    from paramrel.data._base import SPLITS
    from paramrel.errors import UserError

    def line(data: DataSet) -> str:
        state = data.state()
        counts = "?" if state == "missing" else " + ".join(f"{data.size(split):,}" for split in SPLITS)
        shape = "x".join(map(str, data.shape))
        return f"{state:9} {shape:9} {data.kind} ({data.bins}) {counts}; {data.label_text}; {data.licence}"

    for name, cls in DATASETS.members.items():
        try:
            print(f"{name:24} {line(cls())}")
        except UserError as error:
            print(f"{name:24} broken: {error}")
    for name, reason in DATASETS.broken.items():
        print(f"{name:24} broken: {reason}")


@app.command()
@one_line_errors
def prepare(
    names: Annotated[list[str], typer.Argument(help="Data sets; see `paramrel data list`.")],
    download: Annotated[bool, typer.Option(help="Download what is missing below $PARAMREL_DATA.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Convert again, also what is there already.")] = False,
    card: Annotated[Path | None, typer.Option("--card", help="Also write the card here.")] = None,
) -> None:
    """Find or download the files, verify them, and convert them once to memory-mapped arrays with a card."""
    from paramrel.data import dataset
    from paramrel.errors import UserError
    from paramrel.files import write_json

    if card is not None and len(names) > 1:
        raise UserError("--card takes one data set: name one")
    for data in [dataset(name) for name in names]:  # unknown names are an error before anything is done
        made = data.prepare(download, force)
        counts = ", ".join(f"{n:,} {split}" for split, n in made["counts"].items())
        print(
            f"{data.name}: {data.title}, {counts} images, from {made['form']}: "
            f"{getattr(data, 'folder', 'no files needed')}"
        )
        if card is not None:
            write_json(card, made)


@app.command(name="show")
@one_line_errors
def show_declaration(name: Name) -> None:
    """What a data set declares and, if it is prepared, its card, as JSON."""
    from paramrel.data import dataset

    data = dataset(name)
    made = data.prepare() if data.state() == "ready" else data.declaration() | {"form": data.state()}
    print(json.dumps(made, indent=1, ensure_ascii=False))


@app.command()
@one_line_errors
def verify(name: Name) -> None:
    """Read the arrays again and compare their fingerprint (sha256) with the card's."""
    from paramrel.data import dataset

    print(f"{name}: {dataset(name).fingerprint()}")


@app.command()
@one_line_errors
def sheet(
    name: Name,
    out: Annotated[Path, typer.Option("--out", help="PNG file.")],
    factor: Annotated[str | None, typer.Option("--factor", help="Only this factor, in ROWS scenes.")] = None,
    rows: Annotated[int, typer.Option(min=1)] = 4,
    columns: Annotated[int, typer.Option(min=1, help="Images in a row, where labels are no factors.")] = 15,
) -> None:
    """A contact sheet: test images, or for factors a row for each, in which that factor alone changes."""
    from paramrel.data import dataset
    from suite.show.contact_sheet import save_sheet

    save_sheet(dataset(name), out, rows, columns, factor)
    print(out)
