"""How long, how crowded and how silent a file may be; a planted breach of each shows that the guard sees it."""

from pathlib import Path

import pytest

from testkit import architecture

ROOT = Path(__file__).parents[2]

LONG_FUNCTIONS: dict[str, str] = {
    "libs/cli/src/cli/importing/report.py:report": "one table: every figure of the report beside where it comes from",
    "services/intake/src/intake/domain/submission.py:submit": "what is asked of a submission, in the order it is asked",
    "libs/chassis/tests/test_relay.py:test_nothing_is_lost_or_reordered_whatever_dies": "one schedule of crashes",
}
"""`file:function` and the reason why it is better in one piece."""

LONG_FILES: dict[str, str] = {}
"""File and the reason why it is better in one piece."""

CROWDED_FILES: dict[str, str] = {
    "libs/chassis/src/chassis/relay.py": "from the journal to Kafka: lease, cursor, answers and producer meet here",
    "libs/chassis/src/chassis/stream.py": "the worker: records of every kind meet what becomes of them",
    "libs/chassis/src/chassis/recovering.py": "from topics to a whole schema: reading, folding and writing meet here",
    "libs/chassis/src/chassis/recollecting.py": "records of every kind that a recovery reads meet what becomes of them",
    "libs/cli/src/cli/site.py": "how every verb reaches an installation that runs",
    "libs/chassis/src/chassis/service.py": "names every part that a service is made of",
    "libs/chassis/src/chassis/wiring.py": "puts the parts of a process together; the others then need not know them",
    "libs/chassis/src/chassis/commands.py": "one declaration serves two doors: both sides' types meet here",
    "libs/chassis/src/chassis/inbound.py": "from a record to an answer: every stage's types meet here",
    "services/notifications/src/notifications/sender/role.py": "the sender's loop: each of its steps is a module",
}
"""File and the reason why it needs so many of our modules."""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """An empty house with one service."""
    (tmp_path / "services/shop/src/shop/domain").mkdir(parents=True)
    (tmp_path / "services/shop/tests").mkdir(parents=True)
    return tmp_path


def test_functions_keep_to_their_budget() -> None:
    assert architecture.long_functions(ROOT, LONG_FUNCTIONS) == []


def test_files_keep_to_their_budget() -> None:
    assert architecture.long_files(ROOT, LONG_FILES) == []


def test_files_import_from_few_of_our_modules() -> None:
    assert architecture.crowded_files(ROOT, CROWDED_FILES) == []


def test_every_file_says_what_it_is() -> None:
    assert architecture.silent_files(ROOT) == []


def test_exceptions_name_what_is_there() -> None:
    for place in (*LONG_FUNCTIONS, *LONG_FILES, *CROWDED_FILES):
        file, _, function = place.partition(":")
        assert (ROOT / file).is_file(), place
        assert f"def {function}" in (ROOT / file).read_text() or not function, place


def test_the_41st_line_of_a_function_is_seen_and_its_docstring_is_not_counted(house: Path) -> None:
    file = house / "services/shop/src/shop/store.py"
    body = '    """Two\n    lines."""\n' + "    x = 1\n" * 39
    file.write_text(f"def sell():\n{body}")
    assert architecture.long_functions(house, {}) == []
    file.write_text(f"def sell():\n{body}    x = 2\n")
    line = "services/shop/src/shop/store.py:sell"
    assert architecture.long_functions(house, {}) == [f"{line} has 41 lines, 40 are allowed"]
    assert architecture.long_functions(house, {line: "a table"}) == []


def test_the_31st_line_of_a_test_is_seen(house: Path) -> None:
    file = house / "services/shop/tests/test_store.py"
    file.write_text("def test_it():\n" + "    x = 1\n" * 29)
    assert architecture.long_functions(house, {}) == []
    file.write_text("def test_it():\n" + "    x = 1\n" * 30)
    assert len(architecture.long_functions(house, {})) == 1


def test_the_301st_line_of_a_file_is_seen(house: Path) -> None:
    file = house / "services/shop/src/shop/store.py"
    file.write_text("x = 1\n\n" * 300)
    assert architecture.long_files(house, {}) == []
    file.write_text("x = 1\n" * 301)
    assert architecture.long_files(house, {}) == ["services/shop/src/shop/store.py has 301 lines, 300 are allowed"]


def test_the_11th_module_of_ours_is_seen(house: Path) -> None:
    file = house / "services/shop/src/shop/store.py"
    file.write_text("import os\n" + "".join(f"import chassis.m{n}\n" for n in range(10)))
    assert architecture.crowded_files(house, {}) == []
    file.write_text("".join(f"from chassis.m{n} import x\n" for n in range(11)))
    assert len(architecture.crowded_files(house, {})) == 1


def test_a_file_without_a_docstring_is_seen(house: Path) -> None:
    (house / "services/shop/src/shop/store.py").write_text("x = 1\n")
    (house / "services/shop/src/shop/__init__.py").write_text("")
    assert architecture.silent_files(house) == ["services/shop/src/shop/store.py has no docstring"]
