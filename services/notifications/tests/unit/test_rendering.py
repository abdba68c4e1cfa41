"""What a mail looks like, and what it cannot be made to do."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError

from notifications.domain import planning
from notifications.domain.records import Person
from notifications.sender import rendering
from notifications.sender.mails import Addressee, Started, addressee, make
from notifications.sender.rendering import Envelope, Rendered, Unsendable, compose, environment, render

NOON = datetime(2026, 6, 5, 12, tzinfo=UTC)
REQUEST, MESSAGE, ANN, BOB, TEAM = (UUID(int=n) for n in range(1, 6))
JANE = Addressee(("jane@example.com",), "Jane")
CONTENT = {
    planning.RECEIVED: {},
    planning.WAITING: {"reason": "clarification"},
    planning.APPROVAL: {"due_at": NOON.isoformat()},
    planning.BREACHED: {"due_at": NOON.isoformat(), "overdue_seconds": "90"},
    planning.CLOSED: {"outcome": "resolved"},
    planning.MESSAGE: {"text": "Have you tried <b>this</b>?"},
}


def started(template: str = planning.RECEIVED, summary: str | None = "The printer smokes", **content: str) -> Started:
    return Started(REQUEST, "R-000123", MESSAGE, 1, "contact", ANN, template, {**CONTENT[template], **content}, summary)


def mail(attempt: Started, who: Addressee = JANE, portal: str | None = None) -> EmailMessage:
    raw = make(attempt, who, "desk@example.org", portal, NOON)
    return message_from_bytes(raw, policy=policy.default)


def text_of(attempt: Started, kind: str = "plain", portal: str | None = None) -> str:
    part = mail(attempt, portal=portal).get_body((kind,))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize("template", sorted(CONTENT))
def test_every_template_names_the_request_in_subject_text_and_html(template: str) -> None:
    made = mail(started(template))
    assert "R-000123" in made["Subject"]
    assert "The printer smokes" in made["Subject"]
    for kind in ("plain", "html"):
        assert "R-000123" in text_of(started(template), kind)


def test_S66_a_message_is_shown_as_written_in_text_and_escaped_in_html() -> None:
    assert "Have you tried <b>this</b>?" in text_of(started(planning.MESSAGE))
    assert "Have you tried &lt;b&gt;this&lt;/b&gt;?" in text_of(started(planning.MESSAGE), "html")


def test_a_mail_is_marked_as_automatic_and_always_has_the_same_id() -> None:
    first, second = mail(started()), mail(started())
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["Message-ID"] == second["Message-ID"] == f"<{MESSAGE}.{REQUEST}@example.org>"
    assert first["References"] == f"<{REQUEST}@example.org>"


def test_the_portal_is_linked_where_there_is_one() -> None:
    assert f"https://help.example.org/requests/{REQUEST}" in text_of(started(), portal="https://help.example.org/")
    assert "requests/" not in text_of(started())


def test_a_link_of_another_scheme_is_not_sent() -> None:
    with pytest.raises(Unsendable):
        mail(started(), portal="javascript:alert(1)//")


def test_a_language_without_templates_is_answered_in_english() -> None:
    assert "Dear Jane" in str(mail(started(), Addressee(JANE.addresses, "Jane", "pt-BR")).get_body(("plain",)))


def test_a_request_whose_summary_was_erased_can_still_be_mailed() -> None:
    assert "(no summary)" in mail(started(summary=None))["Subject"]


@given(st.text(max_size=200), st.text(max_size=60))
def test_whatever_people_write_stays_inside_its_header(summary: str, name: str) -> None:
    made = mail(started(summary=summary), Addressee(JANE.addresses, name))
    assert sorted(made.keys()) == sorted(mail(started()).keys())
    assert made["To"] == "jane@example.com"


WRITTEN = st.text(max_size=300) | st.sampled_from([".", "\u2028.\n..x", f"--=_{MESSAGE}--", "x" * 2000, "a= \n \n\t"])


@given(WRITTEN, WRITTEN)
def test_a_mail_arrives_as_it_was_composed_in_lines_that_every_server_takes(text: str, html: str) -> None:
    text, html = rendering.without_controls(text), rendering.without_controls(html)
    raw = compose(
        Rendered("a subject", text, html), Envelope("desk@example.org", ("jane@example.com",), MESSAGE, REQUEST, NOON)
    )
    plain, marked = message_from_bytes(raw, policy=policy.default).iter_parts()
    assert plain.get_content().replace("\r\n", "\n") == text.rstrip("\n") + "\n"
    assert marked.get_content().replace("\r\n", "\n") == html.rstrip("\n") + "\n"
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


def test_a_mail_to_a_team_names_every_address() -> None:
    addresses = tuple(f"member-{n}@example.com" for n in range(40))
    assert [to.addr_spec for to in mail(started(), Addressee(addresses, "colleagues"))["To"].addresses] == [*addresses]


@given(st.text(min_size=1, max_size=200))
def test_a_subject_reads_as_it_was_written(summary: str) -> None:
    shown = " ".join(rendering.without_controls(summary).split())
    assert mail(started(summary=summary))["Subject"] == f"R-000123 received: {shown}".rstrip()


@pytest.mark.parametrize("sign", ["\r", "\n", "\0"])
def test_a_line_break_in_a_header_is_refused(sign: str) -> None:
    envelope = Envelope("desk@example.org", (f"jane{sign}@example.com",), MESSAGE, REQUEST, NOON)
    with pytest.raises(Unsendable):
        compose(Rendered("subject", "text", "<p>html</p>"), envelope)
    with pytest.raises(Unsendable):
        compose(
            Rendered(f"sub{sign}ject", "text", "<p>html</p>"),
            Envelope("desk@example.org", ("jane@example.com",), MESSAGE, REQUEST, NOON),
        )


@pytest.mark.parametrize(
    "address", ["", "jane", "jane@", "@example.com", "a@b, c@d", "jané@example.com", "a" * 250 + "@example.com"]
)
def test_what_is_no_single_address_is_not_written_to(address: str) -> None:
    with pytest.raises(Unsendable):
        mail(started(), Addressee((address,), "Jane"))


def test_an_address_of_254_characters_is_the_longest() -> None:
    at_limit = "a" * (rendering.ADDRESS_LIMIT - len("@example.com")) + "@example.com"
    assert mail(started(), Addressee((at_limit,), "Jane"))["To"] == at_limit
    with pytest.raises(Unsendable):
        mail(started(), Addressee(("a" + at_limit,), "Jane"))


def test_a_mail_that_comes_out_too_long_is_not_sent() -> None:
    with pytest.raises(Unsendable):
        mail(started(planning.MESSAGE, text="x" * (rendering.OUTPUT_LIMIT + 1)))


def test_controls_are_taken_out_of_the_text() -> None:
    assert "a\x1bb" not in text_of(started(planning.MESSAGE, text="a\x1bb"))
    assert "ab" in text_of(started(planning.MESSAGE, text="a\x1bb"))


@pytest.mark.parametrize("escape", ["{{ name.__class__.__mro__ }}", "{{ ''.format.__globals__ }}", "{{ x.append(1) }}"])
def test_a_template_cannot_leave_its_sandbox(escape: str) -> None:
    with pytest.raises((SecurityError, UndefinedError)):
        environment().from_string(escape).render(name="Jane", x=[])


def test_a_template_cannot_loop_for_ever_nor_name_what_it_was_not_given() -> None:
    for source in ("{% for i in range(10**9) %}x{% endfor %}", "{{ unknown }}"):
        with pytest.raises(UndefinedError):
            environment().from_string(source).render()


def test_a_missing_value_makes_a_mail_unsendable() -> None:
    with pytest.raises(Unsendable):
        render(planning.CLOSED, "en", {"number": "R-1"})


def test_a_team_is_everybody_active_in_it_with_an_address() -> None:
    people = [
        Person(ANN, "Ann", "ann@example.org", teams=(TEAM,)),
        Person(BOB, "Bob", "bob@example.org", teams=(TEAM,)),
        Person(UUID(int=8), "Gone", "gone@example.org", active=False, teams=(TEAM,)),
        Person(UUID(int=9), "Else", "else@example.org"),
        Person(UUID(int=10), "Mute", None, teams=(TEAM,)),
    ]
    attempt = Started(REQUEST, "R-1", MESSAGE, 1, "team", TEAM, planning.BREACHED, {}, None)
    who = addressee(attempt, None, lambda person: None, people)
    assert who is not None
    assert who.addresses == ("ann@example.org", "bob@example.org")
    assert addressee(attempt, None, lambda person: None, people[2:]) is None
