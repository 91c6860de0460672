"""Differences between methods over seeds, and what of them is more than chance."""

from dataclasses import replace
from itertools import combinations

import pandas as pd

from paramrel.data import dataset
from paramrel.method import method
from suite.show.statistics import Comparison, compare, holm, smallest_p
from suite.show.tables.entries import (
    Origin,
    Reasons,
    Shown,
    digits,
    frame_of,
    label,
    lines_of,
    method_rows,
    of,
    show,
    title_of,
)

COMPARED = ("auroc", "accuracy", "agreement", "bits_per_dim", "dci", "tad")
"""Metrics that the paper's claims are about."""
DIFFERENCE, P, HOLM = "difference", "p", "p (Holm)"
LEVEL = 0.05


def statistics_table(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Paired differences with intervals, sign-flip permutation test and Holm's correction.

    A family of tests is a data set and a metric, and in it every pair with a ParamReL row (all pairs of trained methods
    where a preset has none). Returns the table and its notes.
    """
    lines, reasons, seeds = [], Reasons(), set()
    for data in rows.dataset.unique():
        for name in COMPARED:
            lines += _family(rows, data, name, reasons, seeds)
    frame = frame_of(lines, ["data set", "metric", "method", "against", DIFFERENCE, P, HOLM])
    return frame, [*reasons.notes, *_notes(frame, seeds)]


def pairs(keys: list[tuple[str, str]]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Which methods are compared, the first with the second."""
    ours = [key for key in keys if key[0].startswith("paramrel")]
    if not ours:
        return list(combinations([key for key in keys if method(key[0]).trained], 2))
    return [(key, other) for key in ours for other in keys if other not in ours] + list(combinations(ours, 2))


def _family(rows: pd.DataFrame, data: str, name: str, reasons: Reasons, seeds: set[int]) -> list[dict[str, str]]:
    """The lines of one data set and metric; methods without a value have none."""
    values = {key: _by_seed(of(rows, data, *key, name)) for key in method_rows(rows[rows.dataset == data])}
    lines, tested = [], []
    for first, second in pairs([key for key, found in values.items() if len(found)]):
        common = values[first].index.intersection(values[second].index)
        one, two = values[first].loc[common], values[second].loc[common]
        line = {"data set": dataset(data).title, "metric": title_of(name), "method": label(*first), "against": label(*second)}  # fmt: skip
        lines.append(line)
        if common.empty:
            line |= dict.fromkeys((DIFFERENCE, P, HOLM), reasons.dash("no seed in common"))
            continue
        found = compare(one.value.to_numpy(), two.value.to_numpy())
        how = "first lines minus second ones, seed by seed: "
        origin = Origin("rows.csv", tuple(one.line), "value", how + "mean ± half width (seeds)", tuple(two.line))
        line[DIFFERENCE] = Shown(_signed(found, digits(name)), origin)
        if found.p is None:
            line |= dict.fromkeys((P, HOLM), reasons.dash("one seed: no test"))
            continue
        seeds.add(len(common))
        line[P] = Shown(f"{found.p:.4f}", replace(origin, how=how + "two-sided sign-flip test"))
        tested.append((line, found.p, origin))
    corrected = holm([p for _, p, _ in tested])
    how = f"p, corrected for the {len(tested)} tests of this data set and metric"
    for (line, _, origin), p in zip(tested, corrected, strict=True):
        line[HOLM] = Shown(f"{p:.4f}", replace(origin, how=how))
    return lines


def _by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Value and line in the file of the rows of one cell that have a value, by seed."""
    found = rows[rows.value.notna()]
    lines = list(lines_of(found))
    return pd.DataFrame({"value": found.value.to_numpy(float), "line": lines}, index=found.seed).sort_index()


def _signed(found: Comparison, places: int) -> str:
    text = show(found.difference, places, n=True)
    return text if text.startswith("-") else f"+{text}"


def _notes(frame: pd.DataFrame, seeds: set[int]) -> list[str]:
    if frame.empty:
        return ["No two methods of this preset have a value of one metric on one data set."]
    notes = [
        "difference: method − against, paired by seed; mean ± half width of the 95 % t-interval (number of seeds). The "
        "metric's arrow says which sign is better. Methods without a value have no line; the other tables say why.",
    ]
    if seeds:
        notes.append(
            "p: two-sided sign-flip permutation test of the paired differences (all 2^n patterns up to 13 seeds). p (Holm): corrected for "
            "all tests of the same data set and metric."
        )
    for n in sorted(seeds):
        least = smallest_p(n)
        said = f"With {n} seeds a two-sided p cannot go under {least:.4g}"
        notes.append(
            f"{said}: nothing here can be significant at {LEVEL:g}, however large; the intervals say how large differences "
            "may be."
            if least > LEVEL
            else f"{said}, before correction."
        )
    return notes
