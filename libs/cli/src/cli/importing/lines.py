"""YAML with line numbers: what was read, and the line each value stands on."""

from typing import Any

import yaml

Path = tuple[str | int, ...]


class WrongYaml(Exception):
    """It is no YAML, or a key stands there twice. The text says where."""


def load(text: str) -> tuple[Any, dict[Path, int]]:
    """The values in a YAML text, and the line of each by its path; raises WrongYaml."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise WrongYaml(_where(error)) from None
    if node is None:
        raise WrongYaml("1: it is empty")
    lines: dict[Path, int] = {}
    return _value(node, (), lines), lines


def line_of(lines: dict[Path, int], path: Path) -> int:
    """The line of a path, or of the nearest thing around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _value(node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, (*path, n), lines) for n, each in enumerate(node.value)]
    return yaml.SafeLoader("").construct_object(node, deep=True)


def _mapping(node: yaml.MappingNode, path: Path, lines: dict[Path, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in found:
            raise WrongYaml(f"{line}: {key} stands there twice")
        found[key] = _value(value_node, (*path, key), lines)
        lines[(*path, key)] = line
    return found


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it is no YAML"
    return f"{mark.line + 1 if mark else 1}: {problem}"
