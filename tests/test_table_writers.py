"""Titles and reasons with any character come out right in csv, Markdown and LaTeX."""

import csv
import html
import re

import pytest

from paramrel.method import methods
from suite.measure.escapes import no_formula
from suite.show.tables import Column, Entry, Line, Styled, Table, label, make, write_table
from suite.show.tables.entries import METHOD
from suite.show.tables.latex import latex, tex
from suite.show.tables.write import csv_of, markdown
from tests.example_rows import example, row, texts
from tests.example_rows import table as rows_of

TITLES = (
    "Toy*",
    "*Toy*",
    "**Toy**",
    "D**2 AE",
    "Toy_",
    "_Toy_",
    "a_b_c",
    "a|b",
    "A & B",
    "A &amp; B",
    "<b>x</b>",
    "<!-- x",
    "x < y",
    "=1+1",
    "+x",
    "-x",
    "@x",
    "`x`",
    "a\\b",
    "a\\*b",
    "[x](y)",
    "![x][y]",
    "$x$",
    "~~x~~",
    "# x",
    "1. x",
    "lr = 2 * x, then 3 * y",
)
VALUE = Column("x", "higher")


def with_title(title: str) -> Table:
    """A table in which a title is a method, a heading, words, a reason and a part of a remark."""
    best = Line(
        {METHOD: Entry(text=title), VALUE: Entry(-0.5, digits=1, mark="best"), Column(title): Entry(text=title)}
    )
    dash = Line(
        {METHOD: Entry(text=title), VALUE: Entry(reason=title), Column(title): Entry(text=title, mark="second")}
    )
    return Table((METHOD, VALUE, Column(title)), (best, dash), (title, (Styled("Bold", "bold"), f": {title}")))


def read_back(text: str) -> tuple[list[list[str]], list[str]]:
    """Cells of the table and items of the list of a Markdown text, as a reader sees them; marks in brackets."""
    parser = (
        pytest.importorskip("markdown_it").MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    )
    shown = parser.render(text)
    marked = re.sub(r"<(strong|em|code)>(.*?)</\1>", r"(\1 \2)", shown)
    lines = [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in re.findall(r"<tr>(.*?)</tr>", marked, re.DOTALL)
    ]
    items = re.findall(r"<li>(.*?)</li>", marked, re.DOTALL)
    return [[html.unescape(cell) for cell in line] for line in lines], [html.unescape(item.strip()) for item in items]


@pytest.mark.parametrize("title", TITLES)
def test_markdown_shows_titles_as_they_are(title):
    lines, items = read_back(markdown(with_title(title), title))
    assert lines == [
        ["method", "x ↑", title],
        [title, "(strong -0.5)", title],
        [title, "– a", f"(em {title})"],
    ]
    assert items == [f"– a: {title}.", title, f"(strong Bold): {title}"]


@pytest.mark.parametrize("title", TITLES)
def test_csv_shows_titles_as_they_are_and_no_text_is_a_formula(title):
    heading, best, _ = csv.reader(csv_of(with_title(title)).splitlines())
    assert heading == ["method", "x ↑", no_formula(title)] and best == [no_formula(title), "-0.5", no_formula(title)]
    assert no_formula(title).removeprefix("'") == title and no_formula(title)[0] not in "=+-@"


def test_numbers_stay_numbers_and_what_a_spreadsheet_would_run_does_not():
    lines = [
        Line({METHOD: Entry(text=text), VALUE: Entry(0.25, digits=2, signed=True)}) for text in ("\t=1", "\r=1", "x")
    ]
    assert csv_of(Table((METHOD, VALUE), tuple(lines[2:]))) == "method,x ↑\nx,+0.25\n"
    assert [no_formula(line[METHOD].text)[0] for line in lines] == ["'", "'", "x"]


@pytest.mark.parametrize("title", TITLES)
def test_latex_shows_titles_as_they_are(title):
    text = latex(with_title(title), title)
    assert f"\\caption{{{tex(title)}}}" in text and f"\\underline{{{tex(title)}}}" in text
    assert text.count("\\underline{") == 1 and text.count("\\textbf{") == 2
    assert f"-- a: {tex(title)}." in text
    for line in text.split("\\toprule\n")[1].split("\\bottomrule")[0].splitlines():
        assert len(re.findall(r"(?<!\\)&", line)) == (0 if line == "\\midrule" else 2)
        assert not line.startswith(("*", "["))


@pytest.mark.parametrize("title", ["Toy*", "D**2 AE", "_a_|b & <c>", "=1+1"])
def test_a_method_of_any_title_is_in_every_kind_of_file_and_keeps_its_marks(tmp_path, monkeypatch, title):
    monkeypatch.setattr(methods()["ae"], "title", title)
    assert label("ae", "default") == title
    rows = [row("digits", "ae", "default", 0, "mse", 0.1), row("digits", "vae", "default", 0, "mse", 0.2)]
    made = make("images", rows_of([*rows, row("digits", "ae", "default", 0, "psnr", None)]), None)
    write_table(made, "c", tmp_path / "t")
    with (tmp_path / "t.csv").open(newline="") as file:
        assert [line[1] for line in csv.reader(file)][1:] == [no_formula(title), "VAE"]
    lines, _ = read_back((tmp_path / "t.md").read_text())
    assert [line[1:] for line in lines[1:]] == [[title, "(strong 0.10000 (1))"], ["VAE", "(em 0.20000 (1))"]]
    assert f"{tex(title)} & \\textbf{{0.10000 (1)}}" in (tmp_path / "t.tex").read_text()


def test_a_title_changes_no_mark(monkeypatch):
    """Best and second best are found from numbers: a method called "9.9" is no number."""
    plain = make("table2", example(), None)
    monkeypatch.setattr(methods()["pca"], "title", "9.9 ± 0 (3)")
    named = make("table2", example(), None)
    assert [[line[c].mark for c in plain.columns] for line in plain.lines] == [
        [line[c].mark for c in named.columns] for line in named.lines
    ]
    assert "9.9 ± 0 (3)" in texts(named, "MNIST (binarised) AUROC ↑")
