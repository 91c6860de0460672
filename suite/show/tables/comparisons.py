"""Differences between methods over seeds, and what of them is more than chance."""

from dataclasses import replace
from itertools import combinations

import pandas as pd

from metrics import metric
from paramrel.method import method
from suite.show.statistics import compare, holm, smallest_p
from suite.show.tables.entries import DATA_SET, METHOD, Column, Entry, Line, Origin, Table, of_summary
from suite.show.tables.from_rows import (
    PerSeed,
    data_entry,
    lines_of,
    method_entry,
    method_rows,
    metric_column,
    metrics_of,
)

METRIC, AGAINST = Column("metric", key=True), Column("against", key=True)
DIFFERENCE, P, HOLM = Column("difference"), Column("p"), Column("p (Holm)")
LEVEL = 0.05
FIRST_MINUS_SECOND = "first lines minus second ones, seed by seed: "


def statistics_table(rows: pd.DataFrame) -> Table:
    """Paired differences with intervals, sign-flip permutation test and Holm's correction.

    A family of tests is a data set and a metric, and in it every pair with a ParamReL row (all pairs of trained methods
    where a preset has none).
    """
    lines: list[Line] = []
    per_seed = PerSeed(rows)
    for data in rows.dataset.unique():
        keys = method_rows(rows[rows.dataset == data])
        for name in metrics_of("statistics"):
            lines += _family({key: _by_seed(per_seed.of(data, *key, name)) for key in keys}, data, name)
    return Table((DATA_SET, METRIC, METHOD, AGAINST, DIFFERENCE, P, HOLM), tuple(lines), tuple(_notes(lines)))


def pairs(keys: list[tuple[str, str]]) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Which methods are compared, the first with the second."""
    ours = [key for key in keys if key[0].startswith("paramrel")]
    if not ours:
        return list(combinations([key for key in keys if method(key[0]).trained], 2))
    return [(key, other) for key in ours for other in keys if other not in ours] + list(combinations(ours, 2))


def _family(values: dict[tuple[str, str], pd.DataFrame], data: str, name: str) -> list[Line]:
    """The lines of one data set and metric, from the values of each method by seed; those without a value have none."""
    keys = {DATA_SET: data_entry(data), METRIC: Entry(text=metric_column(name).heading, name=name)}
    lines = []
    for first, second in pairs([key for key, found in values.items() if len(found)]):
        compared = _compared(values[first], values[second], metric(name).digits)
        lines.append(Line(keys | {METHOD: method_entry(*first), AGAINST: method_entry(*second)} | compared))
    _correct(lines)
    return lines


def _compared(first: pd.DataFrame, second: pd.DataFrame, digits: int) -> dict[Column, Entry]:
    """Difference and p of two methods over the seeds that both have; p (Holm) where there is no p to correct."""
    common = first.index.intersection(second.index)
    if common.empty:
        return dict.fromkeys((DIFFERENCE, P, HOLM), Entry(reason="no seed in common"))
    one, two = first.loc[common], second.loc[common]
    found = compare(one.value.to_numpy(), two.value.to_numpy())
    how = FIRST_MINUS_SECOND + "mean ± half width (seeds)"
    origin = Origin("rows.csv", tuple(one.line), "value", how, tuple(two.line))
    difference = replace(of_summary(found.difference, digits, origin), signed=True)
    if found.p is None:
        return {DIFFERENCE: difference} | dict.fromkeys((P, HOLM), Entry(reason="one seed: no test"))
    origin = replace(origin, how=FIRST_MINUS_SECOND + "two-sided sign-flip test")
    return {DIFFERENCE: difference, P: Entry(found.p, digits=4, origin=origin)}


def _correct(lines: list[Line]) -> None:
    """Put p (Holm) into those lines of one family that have a p."""
    tested = [(line, p.value, p.origin) for line in lines for p in [line[P]] if p.value is not None and p.origin]
    how = f"p, corrected for the {len(tested)} tests of this data set and metric"
    corrected = holm([p for _, p, _ in tested])
    for (line, _, origin), p in zip(tested, corrected, strict=True):
        line.entries[HOLM] = Entry(p, digits=4, origin=replace(origin, how=how))


def _by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Value and line in the file of the rows of one entry that have a value, by seed."""
    found = rows[rows.value.notna()]
    lines = list(lines_of(found))
    return pd.DataFrame({"value": found.value.to_numpy(float), "line": lines}, index=found.seed).sort_index()


def _notes(lines: list[Line]) -> list[str]:
    if not lines:
        return ["No two methods of this preset have a value of one metric on one data set."]
    notes = [
        "difference: method − against, paired by seed; mean ± half width of the 95 % t-interval (number of seeds). The "
        "metric's arrow says which sign is better. Methods without a value have no line; the other tables say why.",
    ]
    seeds = {n for line in lines for n in [line[DIFFERENCE].n] if n is not None and line[P].value is not None}
    if seeds:
        notes.append(
            "p: two-sided sign-flip permutation test of the paired differences (all 2^n patterns up to 13 seeds). p "
            "(Holm): corrected for "
            "all tests of the same data set and metric."
        )
    for n in sorted(seeds):
        least = smallest_p(n)
        said = f"With {n} seeds a two-sided p cannot go under {least:.4g}"
        notes.append(
            f"{said}: nothing here can be significant at {LEVEL:g}, however large; the intervals say how large "
            f"differences "
            "may be."
            if least > LEVEL
            else f"{said}, before correction."
        )
    return notes
