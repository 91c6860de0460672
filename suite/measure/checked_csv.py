"""Tables on disk whose every line is checked against a model when it is written and when it is read."""

from functools import cache
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from paramrel.errors import UserError
from paramrel.settings import Frozen


def read_csv(path: Path) -> pd.DataFrame:
    """A csv, everything as text; row i stands on line i + 2. Raises ``UserError`` where it is missing or unreadable."""
    if not path.exists():
        raise UserError(f"{path} is missing: run snakemake to make it")
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no readable csv ({error}): make it anew with snakemake") from error


def check(table: pd.DataFrame, origin: str, model: type[Frozen], key: tuple[str, ...], empty: tuple[str, ...]) -> None:
    """Raises ``UserError`` for other columns than the model's fields, for two lines of one ``key``, and for a value
    that the model does not allow, naming line and column. An empty cell of the columns ``empty`` is None."""
    columns = tuple(field.alias or name for name, field in model.model_fields.items())
    if tuple(table.columns) != columns:
        raise UserError(f"{origin} has the columns {', '.join(table.columns)}; expected {', '.join(columns)}")
    records = table.to_dict("records")
    for record in records:
        for column in empty:
            record[column] = None if record[column] == "" else record[column]
    try:
        _validator(model).validate_python(records)
    except ValidationError as error:
        first = error.errors()[0]
        line, place = int(first["loc"][0]), (*first["loc"], None)[1]
        what = f"column {place}: {first['msg']} (got {first['input']!r})" if place else first["msg"]
        what = what.removeprefix("Value error, ")
        raise UserError(f"{origin}, line {line + 2} ({_named(records[line], key)}): {what}") from error
    twice = table.duplicated(list(key))
    if twice.any():
        line = int(twice.to_numpy().argmax())
        raise UserError(f"{origin}, line {line + 2}: a second row of {_named(records[line], key)}")


def _named(record: dict, key: tuple[str, ...]) -> str:
    return ", ".join(f"{column} {record[column]}" for column in key)


@cache
def _validator(model: type[Frozen]) -> TypeAdapter:
    return TypeAdapter(list[model])  # type: ignore[valid-type]  # the model is known when this runs
