"""Wrong settings of the mail server stop the start, by name."""

import pytest

from chassis.settings import WrongSetting, read
from notifications.settings import Settings

GIVEN = {
    "THROUGHLINE_ENV": "test",
    "THROUGHLINE_DATABASE_URL": "postgresql://a:b@127.0.0.1/c",
    "THROUGHLINE_KAFKA_BOOTSTRAP": "127.0.0.1:9092",
    "THROUGHLINE_JWKS_URL": "file:///keys.json",
    "THROUGHLINE_ISSUER": "http://issuer.test",
}
LOGIN = {"NOTIFICATIONS_SMTP_USERNAME": "desk", "NOTIFICATIONS_SMTP_PASSWORD": "secret"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_PORT", "0"),
        ("SMTP_PORT", "65536"),
        ("SMTP_SECURITY", "ssl"),
        ("SMTP_TIMEOUT", "61"),
        ("MAIL_FROM", "desk"),
        ("MAIL_FROM", "Desk <desk@example.org>"),
        ("PORTAL_URL", "javascript:alert(1)"),
        ("SENDERS", "9"),
    ],
)
def test_a_value_out_of_bounds_is_named(name: str, value: str) -> None:
    with pytest.raises(WrongSetting, match=f"NOTIFICATIONS_{name}"):
        read(Settings, "notifications", GIVEN | {f"NOTIFICATIONS_{name}": value})


def test_a_login_has_both_halves() -> None:
    with pytest.raises(WrongSetting, match="SMTP_USERNAME"):
        read(Settings, "notifications", GIVEN | {"NOTIFICATIONS_SMTP_USERNAME": "desk"})


def test_a_password_is_not_sent_in_the_clear_in_production() -> None:
    production = GIVEN | LOGIN | {"THROUGHLINE_ENV": "production"}
    with pytest.raises(WrongSetting, match="SMTP_SECURITY"):
        read(Settings, "notifications", production)
    assert read(Settings, "notifications", production | {"NOTIFICATIONS_SMTP_SECURITY": "starttls"}).smtp_username
    assert read(Settings, "notifications", GIVEN | LOGIN).smtp_username


def test_a_password_does_not_print() -> None:
    assert "secret" not in repr(read(Settings, "notifications", GIVEN | LOGIN))
