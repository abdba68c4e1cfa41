"""Settings: where they come from, and the one plain line for what is missing or wrong."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, SecretStr

from chassis.settings import ServiceSettings, WrongSetting, read, read_or_exit


class Settings(ServiceSettings):
    """One of its own."""

    sku_length: Annotated[int, Field(ge=1, le=64)] = 8


GIVEN = {
    "TOY_DATABASE_URL": "postgresql://toy:s3cret@db/toy",
    "THROUGHLINE_KAFKA_BOOTSTRAP": "kafka:9092",
    "THROUGHLINE_JWKS_URL": "https://issuer/jwks",
    "THROUGHLINE_ISSUER": "https://issuer",
}


def test_a_services_own_name_goes_before_the_common_one() -> None:
    found = read(Settings, "toy", {**GIVEN, "THROUGHLINE_PARTITIONS": "6", "TOY_PARTITIONS": "3", "OTHER_PORT": "1"})
    assert (found.partitions, found.port, found.env) == (3, 0, "production")


def test_secrets_come_from_files_and_are_not_printed(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://toy:filed@db/toy\n")
    given = {**GIVEN, "TOY_DATABASE_URL_FILE": str(file)}
    del given["TOY_DATABASE_URL"]
    found = read(Settings, "toy", given)
    assert found.database_url == SecretStr("postgresql://toy:filed@db/toy")
    assert "filed" not in repr(found) + str(found) + found.model_dump_json()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"TOY_DATABASE_URL": None}, "THROUGHLINE_DATABASE_URL is not set"),
        ({"THROUGHLINE_ISSUER": None}, "THROUGHLINE_ISSUER is not set"),
        ({"THROUGHLINE_PARTITIONS": "0"}, "THROUGHLINE_PARTITIONS: input should be greater than or equal to 1"),
        ({"THROUGHLINE_PARTITIONS": "65"}, "THROUGHLINE_PARTITIONS: input should be less than or equal to 64"),
        ({"TOY_PORT": "many"}, "TOY_PORT: input should be a valid integer"),
        ({"TOY_SKU_LENGTH": "65"}, "TOY_SKU_LENGTH: input should be less than or equal to 64"),
        ({"TOY_DATABASE_URL": "mysql://x"}, "TOY_DATABASE_URL: must begin with postgresql://"),
        ({"THROUGHLINE_JWKS_URL": "ftp://x"}, "THROUGHLINE_JWKS_URL: must begin with https:// or file:///"),
        ({"THROUGHLINE_JWKS_URL": "http://x"}, "THROUGHLINE_JWKS_URL: must be https:// in production"),
        ({"TOY_KAFKA_SECURITY": "SASL_SSL"}, "TOY_KAFKA_SECURITY: needs kafka_username and kafka_password"),
        ({"THROUGHLINE_ENV": "prod"}, "THROUGHLINE_ENV: input should be 'production', 'development' or 'test'"),
        ({"TOY_FAILPOINTS": "relay.sent=kill"}, "TOY_FAILPOINTS: are for env test alone"),
        ({"TOY_FAILPOINTS": "relay.sent=die"}, "TOY_FAILPOINTS: 'relay.sent=die' is not NAME=kill[@n] or"),
        ({"TOY_ISSUER_FILE": "/nowhere"}, "TOY_ISSUER_FILE: /nowhere cannot be read (FileNotFoundError)"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(change: dict[str, str | None], line: str) -> None:
    given = {name: value for name, value in {**GIVEN, **change}.items() if value is not None}
    with pytest.raises(WrongSetting) as wrong:
        read(Settings, "toy", given)
    assert str(wrong.value).startswith(line)
    assert "\n" not in str(wrong.value)
    assert "s3cret" not in str(wrong.value)


def test_a_wrong_setting_ends_the_start_with_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TOY_PORT", "70000")
    with pytest.raises(SystemExit) as ended:
        read_or_exit(Settings, "toy")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "toy: TOY_PORT: input should be less than or equal to 65535\n"


@pytest.mark.parametrize("prefix", ["Upper", "1st", "with space", "a" * 21, "a_b"])
def test_a_prefix_fits_topics_schemas_and_roles(prefix: str) -> None:
    with pytest.raises(WrongSetting, match="THROUGHLINE_PREFIX"):
        read(Settings, "toy", {**GIVEN, "THROUGHLINE_PREFIX": prefix})
    assert read(Settings, "toy", {**GIVEN, "THROUGHLINE_PREFIX": "acme-1"}).prefix == "acme-1"
