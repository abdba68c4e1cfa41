"""Reads source files and reports what the rules of the house do not allow. Each report is a list of plain lines."""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

LONGEST_FUNCTION = 40
LONGEST_TEST = 30
LONGEST_FILE = 300
MOST_OWN_IMPORTS = 10

OWN = {
    "contracts",
    "chassis",
    "embedded",
    "testkit",
    "cli",
    "intake",
    "workflow",
    "approvals",
    "billing",
    "notifications",
}
SQL = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|MERGE INTO|TRUNCATE|ALTER|CREATE|DROP)\s", re.ASCII)

Functions = ast.FunctionDef | ast.AsyncFunctionDef


def sources(root: Path) -> list[Path]:
    """Production files of all members. Migrations are frozen history and stand outside the budgets."""
    return [path for path in sorted(root.glob("*/*/src/**/*.py")) if "migrations" not in path.parts]


def tests(root: Path) -> list[Path]:
    return sorted([*root.glob("*/*/tests/**/test_*.py"), *root.glob("tests/**/test_*.py")])


def long_functions(root: Path, allowed: Mapping[str, str]) -> list[str]:
    """Functions and tests over their budgets, docstrings not counted. `allowed` maps `file:function` to a reason."""
    production = [(path, function, LONGEST_FUNCTION) for path in sources(root) for function in _functions(path)]
    proving = [
        (path, function, LONGEST_TEST)
        for path in tests(root)
        for function in _functions(path)
        if function.name.startswith("test_")
    ]
    return [
        f"{place} has {length} lines, {limit} are allowed"
        for path, function, limit in production + proving
        if (length := _length(function)) > limit
        and (place := f"{path.relative_to(root)}:{function.name}") not in allowed
    ]


def long_files(root: Path, allowed: Mapping[str, str]) -> list[str]:
    """Files over their budget, empty lines not counted. `allowed` maps a file to a reason."""
    return [
        f"{name} has {length} lines, {LONGEST_FILE} are allowed"
        for path in sources(root)
        if (length := sum(1 for line in path.read_text().splitlines() if line.strip())) > LONGEST_FILE
        and (name := str(path.relative_to(root))) not in allowed
    ]


def crowded_files(root: Path, allowed: Mapping[str, str]) -> list[str]:
    """Files that import from too many of our own modules; the test kit, which puts things together, stands outside.

    `allowed` maps a file to a reason.
    """
    return [
        f"{name} imports from {count} modules of ours, {MOST_OWN_IMPORTS} are allowed"
        for path in sources(root)
        if (count := len({module for module in imported(path) if module.split(".")[0] in OWN})) > MOST_OWN_IMPORTS
        and (name := str(path.relative_to(root))) not in allowed
        and not name.startswith("libs/testkit/")
    ]


def silent_files(root: Path) -> list[str]:
    """Files that do not say in their first line what they are."""
    return [
        f"{path.relative_to(root)} has no docstring"
        for path in sources(root)
        if path.read_text().strip() and ast.get_docstring(_tree(path)) is None
    ]


def worldly_domains(root: Path) -> list[str]:
    """What domains import besides the standard library, themselves and `chassis.decision`."""
    return [
        f"{path.relative_to(root)} imports {module}"
        for path in sorted(root.glob("services/*/src/*/domain/**/*.py"))
        for module in imported(path)
        if module.split(".")[0] not in sys.stdlib_module_names
        and module != "chassis.decision"
        and not module.startswith(f"{path.relative_to(root).parts[3]}.domain")
    ]


def bus_traps(root: Path) -> list[str]:
    """Ways of FastStream that lose, reorder or leak messages."""
    found = []
    for path in sources(root):
        name = path.relative_to(root)
        if any(module.startswith("faststream.kafka.fastapi") for module in imported(path)):
            found.append(f"{name} imports faststream.kafka.fastapi, which opens a publish route to anybody")
        for call in (node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)):
            match call.func:
                case ast.Attribute(attr="publish_batch"):
                    found.append(f"{name}:{call.lineno} publish_batch puts all messages on one partition")
                case ast.Attribute(attr="subscriber"):
                    given = {keyword.arg for keyword in call.keywords}
                    missing = {"ack_policy", "no_reply"} - given
                    found.extend(f"{name}:{call.lineno} subscribes without {word}" for word in sorted(missing))
    return found


def formatted_sql(root: Path) -> list[str]:
    """SQL of services that is put together from strings."""
    return [
        f"{path.relative_to(root)}:{node.lineno} formats SQL"
        for path in sources(root)
        if path.relative_to(root).parts[0] == "services"
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.JoinedStr) and SQL.match(_literal_start(node))
    ]


def imported(path: Path) -> list[str]:
    """The modules that a file imports from, as written."""
    found: list[str] = []
    for node in ast.walk(_tree(path)):
        match node:
            case ast.Import(names=names):
                found.extend(alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                found.append(module)
            case ast.ImportFrom():
                found.append("." * node.level + (node.module or ""))
    return found


def _tree(path: Path) -> ast.Module:
    return _parsed(path.read_text(), str(path))


@cache
def _parsed(text: str, name: str) -> ast.Module:
    return ast.parse(text, name)


def _functions(path: Path) -> Iterator[Functions]:
    return (node for node in ast.walk(_tree(path)) if isinstance(node, Functions))


def _length(function: Functions) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def _literal_start(text: ast.JoinedStr) -> str:
    first = text.values[0] if text.values else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
