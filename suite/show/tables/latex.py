"""Tables as LaTeX, for pdfLaTeX with the packages booktabs, graphicx, amssymb and, for long ones, longtable."""

import re
import unicodedata

from suite.show.tables.entries import Entry, Note, Styled, Table

LONG = 45
"""Lines above which a table breaks over pages."""
COMMANDS = {"": "", "best": "textbf", "second": "underline", "bold": "textbf", "italic": "underline", "code": ""}


def latex(table: Table, caption: str) -> str:
    """A booktabs table with its notes below; best in bold, second best underlined. A long one runs over several
    pages."""
    columns = "l" + "r" * (len(table.columns) - 1)
    head = _line([tex(column.heading) for column in table.columns])
    body = "".join(_line([_entry(table, line[column]) for column in table.columns]) for line in table.lines)
    said = "\n\n".join(_note(note) for note in table.notes)
    below = f"\\par\\smallskip{{\\footnotesize\\raggedright\n{said}\\par}}\n" if table.notes else ""
    if len(table.lines) > LONG:
        return (
            f"{{\\scriptsize\\setlength{{\\tabcolsep}}{{2pt}}\n\\begin{{longtable}}{{{columns}}}\n\\caption{{{tex(caption)}}}\\\\\n"
            f"\\toprule\n{head}\\midrule\n\\endfirsthead\n\\toprule\n{head}\\midrule\n\\endhead\n\\bottomrule\n\\endlastfoot\n{body}"
            f"\\end{{longtable}}}}\n{below}"
        )
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{tex(caption)}}}\n\\resizebox{{\\linewidth}}{{!}}{{%\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\\midrule\n{body}\\bottomrule\n\\end{{tabular}}%\n}}\n"
        f"{below}\\end{{table}}\n"
    )


def _line(texts: list[str]) -> str:
    """A line of a table; a star or a bracket at its beginning is no option of the line break before it."""
    line = " & ".join(texts) + " \\\\\n"
    return f"{{}}{line}" if line.startswith(("*", "[")) else line


def _entry(table: Table, entry: Entry) -> str:
    return _styled(table.text(entry), entry.mark)


def _note(note: Note) -> str:
    parts = (note,) if isinstance(note, str) else note
    code = [f"`{part.text}`" if isinstance(part, Styled) and part.style == "code" else part for part in parts]
    return "".join(_styled(part.text, part.style) if isinstance(part, Styled) else tex(part) for part in code)


def _styled(text: str, style: str) -> str:
    command = COMMANDS[style]
    return f"\\{command}{{{tex(text)}}}" if command else tex(text)


TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "\0": "{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"$<$",
        ">": r"$>$",
        "|": r"$|$",
        "\n": " ",
        "±": r"$\pm$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "†": r"$\dagger$",
        "‡": r"$\ddagger$",
        "–": "--",
        "—": "---",
        "−": "$-$",
        "✓": r"$\checkmark$",
        "×": r"$\times$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "½": "1/2",
        "²": "$^2$",
        "…": r"\ldots{}",
        "“": "``",
        "”": "''",
        "‘": "`",
        "’": "'",
        "\u00a0": "~",
        "`": r"\textasciigrave{}",
        **{
            letter: f"$\\{name}$"
            for letter, name in zip(
                "αβγδεζηθκλμνπρστφχψω",
                (
                    "alpha",
                    "beta",
                    "gamma",
                    "delta",
                    "epsilon",
                    "zeta",
                    "eta",
                    "theta",
                    "kappa",
                    "lambda",
                    "mu",
                    "nu",
                    "pi",
                    "rho",
                    "sigma",
                    "tau",
                    "phi",
                    "chi",
                    "psi",
                    "omega",
                ),
                strict=True,
            )
        },
    }
)
ACCENTED = "LATIN"


def tex(text: str) -> str:
    """Escape for LaTeX; two hyphens are no dash.

    Letters of the Latin alphabet stay; other characters that LaTeX does not know become what they decompose into, or a
    question mark: the text is a table's, and must compile.
    """
    known = "".join(_known(letter) for letter in text)
    return re.sub("-(?=-)", "-\0", known).translate(TEX)


def _known(letter: str) -> str:
    """A character that pdfLaTeX can set."""
    if letter.isascii() or ord(letter) in TEX:
        return letter if letter == "\n" or letter.isprintable() else "?"
    if unicodedata.name(letter, "").startswith(ACCENTED) and ord(letter) < 0x180:
        return letter
    simpler = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return simpler or "?"
