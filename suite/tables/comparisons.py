"""Differences between methods over seeds, and what of them is more than chance."""

from itertools import combinations

import pandas as pd

from paramrel.data import dataset
from paramrel.method import method
from suite.statistics import Comparison, compare, holm, smallest_p
from suite.tables.cells import (
    Origin,
    Reasons,
    Shown,
    digits,
    frame_of,
    label,
    method_rows,
    of,
    paired,
    show,
    title_of,
    values_by_seed,
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
    values = {key: values_by_seed(of(rows, data, *key, name)) for key in method_rows(rows[rows.dataset == data])}
    compared = pairs([key for key, found in values.items() if found])
    lines, tested = [], []
    for first, second in compared:
        one, two, plus, minus = paired(values[first], values[second])
        line = {"data set": dataset(data).title, "metric": title_of(name), "method": label(*first), "against": label(*second)}  # fmt: skip
        lines.append(line)
        if not len(one):
            line |= dict.fromkeys((DIFFERENCE, P, HOLM), reasons.dash("no seed in common"))
            continue
        found = compare(one, two)
        how = "first lines minus second ones, seed by seed: "
        line[DIFFERENCE] = Shown(
            _signed(found, digits(name)), Origin("rows.csv", plus, "value", how + "mean ± half width (seeds)", minus)
        )
        if found.p is None:
            line |= dict.fromkeys((P, HOLM), reasons.dash("one seed: no test"))
            continue
        seeds.add(len(one))
        line[P] = Shown(f"{found.p:.4f}", Origin("rows.csv", plus, "value", how + "two-sided sign-flip test", minus))
        tested.append((line, found.p, plus, minus))
    corrected = holm([p for _, p, _, _ in tested])
    for (line, _, plus, minus), p in zip(tested, corrected, strict=True):
        how = f"p, corrected for the {len(tested)} tests of this data set and metric"
        line[HOLM] = Shown(f"{p:.4f}", Origin("rows.csv", plus, "value", how, minus))
    return lines


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
            "p: two-sided sign-flip permutation test of the paired differences, all 2^n patterns. p (Holm): corrected for "
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
