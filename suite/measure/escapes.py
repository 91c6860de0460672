"""Words that stay words: in Markdown, and in a spreadsheet that opens a csv file."""

import re

SPECIAL = re.compile(
    r"[\\`*|$~]"  # escapes, code, emphasis, ends of cells, mathematics and strikethrough
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis; an underscore within a word is none
    r"|<(?=[A-Za-z/!?])|&(?=#?\w+;)"  # HTML: tags, comments and entities
    r"|\](?=[(\[:])"  # links
)
"""Characters that Markdown would not show as they are."""


def no_formula(text: str) -> str:
    """Words that a spreadsheet cannot take for a formula: an apostrophe stands before =, +, -, @, tab and return.

    Source: OWASP, "CSV Injection".
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def md(text: str) -> str:
    """A text that Markdown shows as it is: no emphasis, no HTML, no end of a cell or line."""
    return SPECIAL.sub(lambda found: f"\\{found.group()}", text.replace("\n", " "))
