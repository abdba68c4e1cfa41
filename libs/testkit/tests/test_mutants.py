"""Planted bugs before they are planted: each still fits the code; and a run is told apart that proves nothing."""

import re
from pathlib import Path

import pytest

from testkit.mutants.catalogue import MUTANTS, UnknownMutant, chosen
from testkit.mutants.mutant import Misplaced, Mutant, mutant
from testkit.mutants.session import tried

ROOT = Path(__file__).parents[3]
_ROW = re.compile(r"^\| ([^|]+) \| (L\d) \| `", re.MULTILINE)
SHOP = "libs/shop/src/shop/__init__.py"


@pytest.mark.parametrize("planted", MUTANTS, ids=lambda planted: planted.name)
def test_every_planted_bug_fits_the_code_as_it_is(planted: Mutant) -> None:
    """If this fails, the code beside the bug has changed: plant it anew in `testkit.mutants.planted`."""
    for file, text in planted.applied(planted.read(ROOT)).items():
        compile(text, file, "exec")
        assert text != (ROOT / file).read_text()


@pytest.mark.parametrize("test", sorted({test for planted in MUTANTS for test in planted.tests}))
def test_every_selection_names_tests_that_there_are(test: str) -> None:
    file, _, name = test.partition("::")
    source = (ROOT / file).read_text()
    assert not name or f"def {name}(" in source


def test_names_of_planted_bugs_differ_and_layers_are_those_that_there_are() -> None:
    assert len({planted.name for planted in MUTANTS}) == len(MUTANTS)
    assert {planted.layer for planted in MUTANTS} <= {"L1", "L2", "L3"}


def test_the_table_of_the_document_has_every_planted_bug_in_the_catalogues_order_and_no_other() -> None:
    document = (ROOT / "docs" / "reliability.md").read_text()
    said = document[document.index("| planted bug | layer | caught by |") :]
    assert _ROW.findall(said) == [(planted.name, planted.layer) for planted in MUTANTS]


def test_layers_and_single_bugs_are_chosen_by_name_each_once() -> None:
    assert chosen("all") == list(MUTANTS)
    assert chosen("naive cursor, L1") == [planted for planted in MUTANTS if planted.layer == "L1"]
    with pytest.raises(UnknownMutant, match="nonsense"):
        chosen("L1,nonsense")


@pytest.mark.parametrize("text", ["", "return 5\nreturn 5"])
def test_a_bug_whose_place_is_gone_or_not_the_only_one_is_an_error(text: str) -> None:
    with pytest.raises(Misplaced, match=f"stands {text.count('return 5')} times"):
        planted().applied({SHOP: text})


def planted(new: str = "return 6", old: str = "return 5") -> Mutant:
    return mutant("dearer", "L1", SHOP, old, new, why="nobody pays it", tests="tests/test_shop.py")


@pytest.mark.servers
@pytest.mark.parametrize(
    ("bug", "caught_by", "said"),
    [
        (planted(), "test_the_price", "assert 6 == 5"),
        (planted("return 5.0"), None, "SURVIVED 1 tests"),
        (planted("return nonsense"), None, "FAILED FOR ANOTHER REASON: test_the_price: NameError"),
        (planted("return ("), None, "FAILED FOR ANOTHER REASON: pytest ended with status"),
        (planted("return 6", "return 7"), None, "NOT PLANTED: dearer"),
    ],
    ids=["caught", "survived", "another reason", "no code", "misplaced"],
)  # a whole run of pytest each is too slow for the quick tests
def test_a_bug_is_caught_by_an_assertion_on_a_copy_and_by_nothing_else(
    tmp_path: Path, bug: Mutant, caught_by: str | None, said: str
) -> None:
    (tmp_path / SHOP).parent.mkdir(parents=True)
    (tmp_path / SHOP).write_text("def price():\n    return 5\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_shop.py").write_text("import shop\n\ndef test_the_price():\n    assert shop.price() == 5\n")
    verdict = tried(tmp_path, bug, {})
    assert verdict.caught_by == caught_by
    assert said in verdict.said
    assert (tmp_path / SHOP).read_text() == "def price():\n    return 5\n"
