"""Cells of tables: a text, and where its numbers come from; dashes, and why they are there."""

import math
import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from metrics import metric
from paramrel.data import dataset
from paramrel.method import method
from suite.show.statistics import Summary, summarise

DASH = "–"
FLOORS = ("chance", "shuffled labels")
KEYS = ("data set", "metric", "setting", "method", "against")
"""Columns that name a line; all others hold what the table shows."""

DIGITS = {
    "auroc": 4, "auroc_progressive": 4, "auroc_sampled": 4, "loss_own": 2, "loss_permuted": 2, "loss_mean": 2,
    "loss_prior": 2, "permuted_ratio": 2, "active_units": 1, "kl": 1, "rate": 1, "distortion": 2, "mse_from_code": 4,
    "attrs": 1, "mse": 5, "mse_permuted": 5, "psnr": 2, "ssim": 4, "bit_error": 4, "round_trip": 6, "round_trip_permuted": 4,
    "smoothness": 4, "smoothness_max": 4,
}  # fmt: skip
"""Decimals of metrics; three for all others."""


@dataclass(frozen=True)
class Origin:
    """Where the numbers of a cell come from: lines of a file (its heading is line 1), and what is made of them."""

    file: str
    """rows.csv or runs.csv beside the table, or published.csv."""
    lines: tuple[int, ...]
    column: str
    how: str
    minus: tuple[int, ...] = ()
    """Lines whose values are subtracted, seed by seed."""


class Shown(str):
    """Text of a cell with its origin; no origin where it holds no number."""

    origin: Origin | None

    def __new__(cls, text: str, origin: Origin | None = None) -> "Shown":
        shown = super().__new__(cls, text)
        shown.origin = origin
        return shown


@dataclass(frozen=True)
class Measured:
    """One measured cell: the summary over seeds and the lines behind it; the reason where a seed, or every one, has no value."""

    summary: Summary | None
    note: str = ""
    lines: tuple[int, ...] = ()


class Reasons:
    """Dashes of one table: each carries a letter, and the notes say what it stands for."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def dash(self, reason: str) -> Shown:
        """A dash with the letter of its reason."""
        if reason not in self.known:
            first, second = divmod(len(self.known), 26)
            letters = string.ascii_lowercase
            self.known[reason] = (letters[first - 1] if first else "") + letters[second]
        return Shown(f"{DASH} {self.known[reason]}")

    @property
    def notes(self) -> list[str]:
        return [f"{DASH} {letter}: {reason}." for reason, letter in self.known.items()]


MEAN = "mean over seeds ± half width of the 95 % t-interval (number of seeds)"


def label(name: str, variant: str) -> str:
    """Row label of a method: title, and the variant in brackets unless there is one only."""
    title = method(name).title
    return title if variant == "default" else f"{title} ({variant})"


def method_rows(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """(method, variant) in order of appearance."""
    return list(rows[["method", "variant"]].drop_duplicates().itertuples(index=False, name=None))


def of(rows: pd.DataFrame, data: str, name: str, variant: str, metric_name: str) -> pd.DataFrame:
    """The rows of one cell of a table, one per seed."""
    return rows[
        (rows.metric == metric_name) & (rows.dataset == data) & (rows.method == name) & (rows.variant == variant)
        & (rows.fold == "mean")
    ]  # fmt: skip


def measured(rows: pd.DataFrame, data: str, name: str, variant: str, metric_name: str) -> Measured:
    """One cell over the seeds that have a value; where one has none the reason that the rows give."""
    mine = of(rows, data, name, variant, metric_name)
    found, without = mine[mine.value.notna()], mine[mine.value.isna()]
    why = without.note.iloc[0] if len(without) else ""
    if len(found):
        return Measured(summarise(found.value.to_numpy(float)), why, lines_of(found))
    if len(mine):
        return Measured(None, why)
    return Measured(None, method(name).skip(dataset(data)) or "not in this preset")


def lines_of(rows: pd.DataFrame) -> tuple[int, ...]:
    """Line numbers in the file that ``rows`` was read from."""
    return tuple(int(i) + 2 for i in rows.index)


def show(summary: Summary | None, digits: int = 4, n: bool = False) -> str:
    """ "0.9941 ± 0.0008", or "0.9941" for one seed, or a dash; with ``n`` the number of seeds behind it: " (5)"."""
    if summary is None:
        return DASH
    text = f"{summary.mean:.{digits}f}"
    text = text if summary.half_width is None else f"{text} ± {summary.half_width:.{digits}f}"
    return f"{text} ({summary.n})" if n else text


def digits(metric_name: str) -> int:
    """Decimals that a metric is shown with."""
    return DIGITS.get(metric_name, 3)


def value_cell(found: Measured, metric_name: str, reasons: Reasons) -> Shown:
    """Mean, interval and number of seeds, with a dash and its reason in place of the other seeds, or of all."""
    if found.summary is None:
        return reasons.dash(found.note)
    text = show(found.summary, digits(metric_name), n=True)
    if found.note:
        text = f"{text.removesuffix(')')}, {reasons.dash(found.note)})"
    return Shown(text, Origin("rows.csv", found.lines, "value", MEAN))


def title_of(metric_name: str) -> str:
    """A metric's heading: its title, and which way is better."""
    chosen = metric(metric_name)
    return f"{chosen.title} {arrow(chosen.direction)}".strip()


def arrow(direction: str) -> str:
    """Which way is better."""
    return {"higher": "↑", "lower": "↓"}.get(direction, "")


def floor_lines(rows: pd.DataFrame, data: str, names: Iterable[str], heading: Callable[[str], str]) -> dict[str, dict[str, Shown]]:  # fmt: skip
    """The last lines of a data set: chance levels, and the control on shuffled labels; lines without a number are
    left out. ``heading`` gives the column of a metric."""
    found = {}
    for line, cell_of in zip(FLOORS, (_chance, _shuffled), strict=True):
        shown = {heading(name): cell_of(rows, data, name) for name in names}
        if any(cell.origin for cell in shown.values()):
            found[line] = shown
    return found


def _chance(rows: pd.DataFrame, data: str, metric_name: str) -> Shown:
    found = rows[(rows.dataset == data) & (rows.metric == metric_name) & rows.chance.notna()].head(1)
    if found.empty:
        return Shown("")
    level = f"{found.chance.iloc[0]:.{digits(metric_name)}f}"
    return Shown(level, Origin("rows.csv", lines_of(found), "chance", "what codes without information score"))


def _shuffled(rows: pd.DataFrame, data: str, metric_name: str) -> Shown:
    found = rows[(rows.dataset == data) & (rows.metric == metric_name) & (rows.fold == "shuffled")]
    found = found[found.value.notna()].head(1)
    if found.empty:
        return Shown("")
    value = f"{found.value.iloc[0]:.{digits(metric_name)}f}"
    return Shown(value, Origin("rows.csv", lines_of(found), "value", "on shuffled labels"))


def frame_of(lines: Sequence[dict[str, str]], columns: Sequence[str]) -> pd.DataFrame:
    """A table of texts that keep their origins; cells that no line names are empty."""
    whole = [{column: line.get(column, "") for column in columns} for line in lines]
    return pd.DataFrame(whole, columns=list(columns), dtype=object)


def mark_best(frame: pd.DataFrame, column: str, direction: str, lines: Iterable[int]) -> None:
    """**Best** and *second best* of some lines, by what is shown: ties share a mark; floors have none.

    Nothing is marked where there are not two numbers, or all are the same.
    """
    values = {i: mean_of(frame.loc[i, column]) for i in lines if frame.loc[i, "method"] not in FLOORS}
    values = {i: value for i, value in values.items() if not math.isnan(value)}
    order = sorted(set(values.values()), reverse=direction == "higher")
    if direction == "none" or len(order) < 2:
        return
    for i, value in values.items():
        stars = {order[0]: "**", order[1]: "*"}.get(value)
        if stars:
            cell = frame.loc[i, column]
            frame.loc[i, column] = Shown(f"{stars}{cell}{stars}", cell.origin)


def mean_of(text: str) -> float:
    """The number that a cell begins with, or nan."""
    try:
        return float(plain(text).split(" ")[0])
    except ValueError:
        return math.nan


def plain(text: str) -> str:
    """A cell's text without the marks of best and second best."""
    return text.strip("*")


def seeds_notes(rows: pd.DataFrame) -> list[str]:
    """What the cells are, and which seeds are missing."""
    whole = rows[(rows.fold == "mean") & rows.value.notna()]
    if whole.empty:
        return ["Nothing has been measured: rows.csv holds no value."]
    notes = ["One seed (1): no interval can be given."]
    if whole.seed.nunique() > 1:
        notes = ["Cells: mean over seeds ± half width of the 95 % t-interval (number of seeds)."]
    for data, mine in rows[rows.fold == "mean"].groupby("dataset", sort=False):
        wanted = set(mine[mine.cell != ""].seed)
        for key, of_method in mine.groupby(["method", "variant"], sort=False):
            has = set(of_method[of_method.value.notna()].seed)
            if has and wanted - has:
                missing = ", ".join(map(str, sorted(wanted - has)))
                said = of_method[of_method.seed.isin(wanted - has)].note
                reason = f" ({said.iloc[0]})" if len(said) else ""
                notes.append(f"{label(*key)} on {dataset(data).title}: no value of seed {missing}{reason}.")
    return notes


MARKS = "**Bold**: best, *italic* (in LaTeX underlined): second best, by the numbers shown and the arrow's direction; table `statistics` says what of it is more than chance."  # fmt: skip


def last_notes(frame: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    """What every table of means ends with: marks, if it has any, what the cells are, and missing seeds."""
    marked = frame.map(lambda text: text != plain(text)).to_numpy().any()
    return [*([MARKS] if marked else []), *seeds_notes(rows)]
