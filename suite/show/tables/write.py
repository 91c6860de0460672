"""Tables as files: csv, GitHub markdown, LaTeX. The same table gives the same bytes."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from paramrel.files import write_text
from suite.show.tables.entries import plain

LONG = 45
"""Lines above which a LaTeX table breaks over pages."""


def write_table(frame: pd.DataFrame, notes: Sequence[str], caption: str, stem: Path) -> None:
    """``stem``.csv (plain texts), .md and .tex, both with the notes below the table."""
    write_text(stem.with_suffix(".csv"), frame.map(plain).to_csv(index=False, lineterminator="\n"))
    text = frame.map(_md).rename(columns=_md).to_markdown(index=False, disable_numparse=True)
    lines = [f"**{caption}**", "", text, "", *(f"- {note}" for note in notes), ""]
    write_text(stem.with_suffix(".md"), "\n".join(lines))
    write_text(stem.with_suffix(".tex"), _latex(frame, notes, caption))


def _md(text: str) -> str:
    """A bar would end the cell, a line break the line."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def _latex(frame: pd.DataFrame, notes: Sequence[str], caption: str) -> str:
    """A booktabs table with its notes below; over several pages where it is long.

    Needs the LaTeX packages booktabs, graphicx, amssymb and, for long ones, longtable.
    """
    shown = frame.rename(columns=tex).map(tex)
    columns = "l" + "r" * (frame.shape[1] - 1)
    said = "\n\n".join(tex(note) for note in notes)
    below = f"\\par\\smallskip{{\\footnotesize\\raggedright\n{said}\\par}}\n" if notes else ""
    if len(frame) > LONG:
        head = " & ".join(shown.columns) + " \\\\\n\\midrule\n"
        body = " \\\\\n".join(" & ".join(line) for line in shown.to_numpy()) + " \\\\\n"
        return (
            f"{{\\scriptsize\\setlength{{\\tabcolsep}}{{2pt}}\n\\begin{{longtable}}{{{columns}}}\n\\caption{{{tex(caption)}}}\\\\\n"
            f"\\toprule\n{head}\\endfirsthead\n\\toprule\n{head}\\endhead\n\\bottomrule\n\\endlastfoot\n{body}"
            f"\\end{{longtable}}}}\n{below}"
        )
    body = shown.to_latex(index=False, column_format=columns).rstrip()
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{tex(caption)}}}\n\\resizebox{{\\linewidth}}{{!}}{{%\n{body}%\n}}\n"
        f"{below}\\end{{table}}\n"
    )


TEX = str.maketrans({
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "|": r"$|$", "\n": " ",
    "±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "†": r"$\dagger$", "‡": r"$\ddagger$", "–": "--",
    "—": "---", "−": "$-$", "✓": r"$\checkmark$", "×": r"$\times$", "≤": r"$\leq$", "≥": r"$\geq$", "½": "1/2",
    "²": "$^2$", "…": r"\ldots{}", "“": "``", "”": "''", "‘": "`", "’": "'", "\u00a0": "~", "`": r"\textasciigrave{}",
    **{letter: f"$\\{name}$" for letter, name in zip("αβγδεζηθκλμνπρστφχψω", (
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "pi", "rho",
        "sigma", "tau", "phi", "chi", "psi", "omega"), strict=True)},
})  # fmt: skip
ACCENTED = "LATIN"


def tex(text: str) -> str:
    """Escape for LaTeX; **best** becomes bold, *second best* is underlined, anywhere in a text.

    Letters of the Latin alphabet stay; other characters that LaTeX does not know become what they decompose into, or a
    question mark: the text is a table's, and must compile.
    """
    for stars, command in (("**", "textbf"), ("*", "underline")):
        parts = text.split(stars)
        if len(parts) == 3:
            before, marked, after = map(tex, parts)
            return f"{before}\\{command}{{{marked}}}{after}"
    return "".join(_known(letter) for letter in text).translate(TEX)


def _known(letter: str) -> str:
    """A character that pdfLaTeX can set."""
    if letter.isascii() or ord(letter) in TEX:
        return letter if letter == "\n" or letter.isprintable() else "?"
    if unicodedata.name(letter, "").startswith(ACCENTED) and ord(letter) < 0x180:
        return letter
    simpler = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return simpler or "?"
