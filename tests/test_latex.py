"""Tables as LaTeX: escaped, and compiled by a real pdfLaTeX where there is one."""

import shutil
import subprocess
from pathlib import Path

import pytest

from suite.show.tables import TABLES, Column, Entry, Line, Styled, Table, write_table, write_tables
from suite.show.tables.entries import METHOD
from suite.show.tables.latex import LONG, latex, tex
from tests.conftest import ROOT
from tests.example_rows import BASES, example, runs_of

NASTY = r"100 % of $x_1^2$ & {y} #3 ~ \alpha <b> |c| 'q' ”q“ `r` – − ± ↑ ↓ † ‡ ✓ × ≤ λ β é Ł ﬁ 数 😀"
DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[landscape,margin=1cm]{geometry}
\usepackage{booktabs,graphicx,amssymb,longtable}
\begin{document}
%s
\end{document}
"""


def test_every_special_character_is_escaped_once():
    assert tex("a_b & 5 % {x} $y$ #1") == r"a\_b \& 5 \% \{x\} \$y\$ \#1"
    assert tex("\\alpha ~ ^") == r"\textbackslash{}alpha \textasciitilde{} \textasciicircum{}"
    assert tex("a--b---c – d") == "a-{}-b-{}-{}-c -- d"
    assert tex("0.5 ± 0.1 ↑ † –") == r"0.5 $\pm$ 0.1 $\uparrow$ $\dagger$ --"
    assert tex("λ = .1") == r"$\lambda$ = .1" and tex("数") == "?" and tex("é") == "é" and tex("ﬁ") == "fi"


def table(method: str, heading: str, *entries: Entry, remarks: tuple = ()) -> Table:
    """A line for each entry."""
    column = Column(heading, "higher")
    lines = tuple(Line({METHOD: Entry(text=method), column: entry}) for entry in entries)
    return Table((METHOD, column), lines, remarks)


def test_best_is_bold_and_second_best_underlined():
    best, second = Entry(0.5, 0.1, 3, digits=1, mark="best"), Entry(text="a_b", mark="second")
    note = (Styled("Bold", "bold"), ": best, ", Styled("it", "italic"), ": second; ", Styled("x", "code"))
    text = latex(table("m", "x", best, second, remarks=(note,)), "c")
    assert r"\textbf{0.5 $\pm$ 0.1 (3)}" in text and r"\underline{a\_b}" in text
    assert r"\textbf{Bold}: best, \underline{it}: second; \textasciigrave{}x\textasciigrave{}" in text


@pytest.mark.parametrize("text", ["D**2 AE", "Toy*", "lr = 2 * x, then 3 * y", "**a**", "*b*"])
def test_stars_are_no_marks(text):
    assert tex(text) == text


def test_a_line_that_begins_with_a_star_or_a_bracket_is_no_option_of_the_line_break():
    text = latex(table("[2pt] x", "x", Entry(text="1")), "c") + latex(table("*Toy", "x", Entry(text="1")), "c")
    assert "\n{}[2pt] x & 1" in text and "\n{}*Toy & 1" in text


def test_tables_are_booktabs_with_the_notes_below(tmp_path):
    best = Entry(1.0, mark="best")
    write_table(table("a_b", "x", best, remarks=("5 % of it",)), "A & b", tmp_path / "t")
    text = (tmp_path / "t.tex").read_text()
    for part in (
        r"\caption{A \& b}",
        r"\toprule",
        r"\midrule",
        r"\bottomrule",
        r"x $\uparrow$",
        r"\textbf{1}",
        r"5 \% of it",
    ):
        assert part in text
    assert text.index(r"\end{tabular}") < text.index(r"5 \% of it") < text.index(r"\end{table}")
    write_table(table("a_b", "x", *[best] * (LONG + 1)), "c", tmp_path / "long")
    assert r"\begin{longtable}" in (tmp_path / "long.tex").read_text()


@pytest.fixture(scope="module")
def pdflatex() -> str:
    found = shutil.which("pdflatex")
    if not found:
        pytest.skip("no pdflatex here (Debian: texlive-latex-recommended)")
    return found


def compile_all(pdflatex: str, files: list[Path], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    inputs = [f"\\input{{{path}}}\n\\clearpage" for path in files]
    (folder / "all.tex").write_text(DOCUMENT % "\n".join(inputs))
    for _ in range(2):  # longtable settles its columns in a second run
        done = subprocess.run(
            [pdflatex, "-halt-on-error", "-interaction=nonstopmode", "all.tex"], cwd=folder, capture_output=True
        )
        said = done.stdout.decode(errors="replace")
        assert done.returncode == 0, said[-3000:]
    assert (folder / "all.pdf").stat().st_size > 10_000
    log = (folder / "all.log").read_text(errors="replace")
    assert "Missing character" not in log and "LaTeX Error" not in log


def test_every_table_compiles_with_anything_in_it(pdflatex, tmp_path):
    bases = (*BASES, *(("paramrel_d", f"v{i}", 0.5 + 0.01 * i) for i in range(12)))
    write_tables(example(bases=bases), runs_of(example(bases=bases)), "p", tmp_path / "made")
    assert r"\begin{longtable}" in (tmp_path / "made/statistics.tex").read_text()
    write_tables(example().head(0), None, "p", tmp_path / "empty")
    entries = [Entry(text=NASTY, mark="best"), Entry(text=NASTY, mark="second"), Entry(reason=NASTY)]
    write_table(table(f"[1] {NASTY}", NASTY, *entries, remarks=(NASTY,)), NASTY, tmp_path / "nasty")
    write_table(table(f"* {NASTY}", NASTY, *entries * LONG), NASTY, tmp_path / "long")
    files = [tmp_path / folder / f"{name}.tex" for folder in ("made", "empty") for name in TABLES]
    compile_all(pdflatex, [*files, tmp_path / "nasty.tex", tmp_path / "long.tex"], tmp_path / "out")


def test_every_committed_table_compiles(pdflatex, tmp_path):
    files = sorted(ROOT.glob("results/*/*.tex"))
    assert files
    compile_all(pdflatex, files, tmp_path / "out")
