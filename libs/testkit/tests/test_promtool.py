"""Where promtool is missing its tests are skipped, and fail where everything must be tested."""

import shutil

import pytest

from testkit.promtool import promtool


@pytest.fixture(autouse=True)
def none_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    for name in ("CI", "THROUGHLINE_TEST_PROMTOOL"):
        monkeypatch.delenv(name, raising=False)


def test_without_it_a_test_is_skipped() -> None:
    with pytest.raises(pytest.skip.Exception, match="apt-get install prometheus"):
        promtool()


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("THROUGHLINE_TEST_PROMTOOL", "required")])
def test_where_everything_must_be_tested_it_fails(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(pytest.fail.Exception, match="promtool is not here"):
        promtool()
