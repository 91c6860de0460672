"""Tables as LaTeX: escaped, and compiled by a real pdfLaTeX where there is one."""

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from suite.show.tables import TABLES, write_table, write_tables
from suite.show.tables.write import LONG, tex
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
    assert tex("0.5 ± 0.1 ↑ † –") == r"0.5 $\pm$ 0.1 $\uparrow$ $\dagger$ --"
    assert tex("λ = .1") == r"$\lambda$ = .1" and tex("数") == "?" and tex("é") == "é" and tex("ﬁ") == "fi"


def test_best_is_bold_and_second_best_underlined():
    assert tex("**0.5 ± 0.1 (3)**") == r"\textbf{0.5 $\pm$ 0.1 (3)}"
    assert tex("*a_b*") == r"\underline{a\_b}"
    assert tex("**Bold**: best, *it*: second") == r"\textbf{Bold}: best, \underline{it}: second"


def test_tables_are_booktabs_with_the_notes_below(tmp_path):
    frame = pd.DataFrame({"method": ["a_b"], "x ↑": ["**1**"]}, dtype=object)
    write_table(frame, ["5 % of it"], "A & b", tmp_path / "t")
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
    write_table(pd.concat([frame] * (LONG + 1), ignore_index=True), [], "c", tmp_path / "long")
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
    nasty = pd.DataFrame({"method": [NASTY, NASTY], NASTY: [f"**{NASTY}**", f"*{NASTY}*"]}, dtype=object)
    write_table(nasty, [NASTY], NASTY, tmp_path / "nasty")
    files = [tmp_path / folder / f"{name}.tex" for folder in ("made", "empty") for name in TABLES]
    compile_all(pdflatex, [*files, tmp_path / "nasty.tex"], tmp_path / "out")


def test_every_committed_table_compiles(pdflatex, tmp_path):
    files = sorted(ROOT.glob("results/*/*.tex"))
    assert files
    compile_all(pdflatex, files, tmp_path / "out")
