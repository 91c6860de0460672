"""What people write: YAML that says a number where a number stands, and refuses what YAML 1.1 takes in silence."""

import re
from pathlib import Path
from typing import Any

import yaml

from paramrel.errors import UserError

FLOAT = "tag:yaml.org,2002:float"
WORD, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


class Loader(yaml.SafeLoader):
    """YAML 1.1 with the numbers of YAML 1.2 (1e-3), in which every key is a word and stands once in its mapping."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if key.tag not in (WORD, MERGE):
                raise yaml.MarkedYAMLError(
                    problem=f"key {_text(key)} is no word: write it in quotes", problem_mark=key.start_mark
                )
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key {_text(key)} is given twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return node


def _text(key: yaml.Node) -> str:
    return repr(key.value) if isinstance(key, yaml.ScalarNode) else "of several parts"


# https://yaml.org/spec/1.2.2/#1032-tag-resolution
Loader.add_implicit_resolver(
    FLOAT, re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"), list("-+.0123456789")
)


def parse_yaml(text: str, origin: str) -> Any:
    """The value that a text says. Raises ``UserError`` with one line that names ``origin`` and what is wrong."""
    loader = None
    try:
        loader = Loader(text)
        loader.name = origin
        return loader.get_single_data()
    except yaml.YAMLError as error:
        raise UserError(f"{origin} is no valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise UserError(f"{origin} nests too deep: no more than some hundred lists or mappings in each other") from None
    finally:
        if loader is not None:
            loader.dispose()


def read_yaml(path: Path) -> Any:
    """``parse_yaml`` of a file of UTF-8 text."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}: name a parameter file with --config") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8") from error


def reread(value: Any) -> Any:
    """Snakemake's ``--config KEY=VALUE`` gives the parts of a list or mapping as words: the same with numbers, yes and
    no, and null."""
    if isinstance(value, dict):
        return {key: reread(part) for key, part in value.items()}
    if isinstance(value, list):
        return [reread(part) for part in value]
    if not isinstance(value, str):
        return value
    try:
        read = parse_yaml(value, "--config")
    except UserError:
        return value
    return read if isinstance(read, int | float) or value == "null" else value
