"""A mail as bytes: templates in files, sandboxed, from plain values only; headers that nobody can break out of."""

from binascii import b2a_qp
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.header import Header
from email.headerregistry import Address
from email.utils import format_datetime
from functools import lru_cache
from importlib.resources import files
from uuid import UUID

from jinja2 import BaseLoader, StrictUndefined, TemplateError, TemplateNotFound
from jinja2.sandbox import ImmutableSandboxedEnvironment

OUTPUT_LIMIT = 100_000
"""Characters of one rendered part."""
ADDRESS_LIMIT = 254
DEFAULT_LOCALE = "en"
FILTERS = ("default", "escape", "e", "length", "lower", "replace", "title", "trim", "upper", "truncate", "wordwrap")
_LAYOUT = "\t\n"
_EOL = "\r\n"


class Unsendable(Exception):
    """This mail cannot be made, and trying again will not help."""


@dataclass(frozen=True)
class Envelope:
    """Who a mail goes to, from whom, and what makes it recognisable."""

    sender: str
    recipients: tuple[str, ...]
    message_id: UUID
    request_id: UUID
    date: datetime


@dataclass(frozen=True)
class Rendered:
    """A template with its values filled in."""

    subject: str
    text: str
    html: str


class _Files(BaseLoader):
    """Templates of this package: `<locale>/<name>`, in the default locale where a language has none."""

    def get_source(self, environment: object, template: str) -> tuple[str, str, None]:
        locale, _, name = template.partition("/")
        folder = files("notifications") / "templates"
        for language in dict.fromkeys((locale, locale.partition("-")[0], DEFAULT_LOCALE)):
            found = folder / language / name
            if found.is_file():
                return found.read_text(encoding="utf-8"), str(found), None
        raise TemplateNotFound(template)


@lru_cache(maxsize=1)
def environment() -> ImmutableSandboxedEnvironment:
    """The sandbox: undefined names are errors, HTML is escaped, only listed filters exist, no globals at all."""
    made = ImmutableSandboxedEnvironment(
        loader=_Files(),
        undefined=StrictUndefined,
        autoescape=lambda name: bool(name) and name.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    made.globals.clear()
    made.filters = {name: made.filters[name] for name in FILTERS}
    return made


def render(template: str, locale: str, values: Mapping[str, str | bool]) -> Rendered:
    """Fill in a template of this package; raises Unsendable when it cannot be, or comes out too long."""
    return Rendered(
        one_line(_part(f"{template}.subject", locale, values)),
        without_controls(_part(f"{template}.txt", locale, values)),
        _part(f"{template}.html", locale, {name: _clean(value) for name, value in values.items()}),
    )


def compose(rendered: Rendered, envelope: Envelope) -> bytes:
    """The mail as it goes over the wire: text and HTML, one stable Message-ID, marked as automatic.

    Written by hand: `email.message` takes 1.7 ms for one, which is most of what a sender does.
    """
    sender, recipients = _address(envelope.sender), [_address(recipient) for recipient in envelope.recipients]
    boundary = f"=_{envelope.message_id}"  # nothing quoted-printable can contain "=_"
    lines = [
        f"From: {sender.addr_spec}",
        f"To: {f',{_EOL} '.join(recipient.addr_spec for recipient in recipients)}",
        f"Subject: {_encoded(header(rendered.subject))}",
        f"Date: {format_datetime(envelope.date)}",
        f"Message-ID: <{envelope.message_id}.{envelope.request_id}@{sender.domain}>",
        f"References: <{envelope.request_id}@{sender.domain}>",
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
        "",
    ]
    for subtype, text in (("plain", rendered.text), ("html", rendered.html)):
        lines += [f"--{boundary}", f'Content-Type: text/{subtype}; charset="utf-8"']
        lines += ["Content-Transfer-Encoding: quoted-printable", "", _quoted(text)]
    return _EOL.join([*lines, f"--{boundary}--", ""]).encode("ascii")


def _encoded(subject: str) -> str:
    """A subject as it stands in a header: folded, and in encoded words where it is not ASCII."""
    charset = "us-ascii" if subject.isascii() else "utf-8"
    return Header(subject, charset, header_name="Subject").encode(linesep=_EOL)


def _quoted(text: str) -> str:
    """Quoted-printable, with the line ends of mail; ends in one."""
    lines = text.rstrip("\r\n").replace("\r\n", "\n").replace("\n", _EOL) + _EOL
    return b2a_qp(lines.encode(errors="replace"), istext=True).decode("ascii")


def header(value: str) -> str:
    """The value, if it may stand in a header: a line break or NUL would start another header."""
    if any(sign in value for sign in "\r\n\0"):
        raise Unsendable("a header would contain a line break or NUL")
    return value


def one_line(text: str) -> str:
    """The text on one line, its controls gone; what a person wrote in several lines still makes one subject."""
    return " ".join(without_controls(text).split())


def without_controls(text: str) -> str:
    """The text without control characters but tab and line feed."""
    return "".join(sign for sign in text.replace("\r\n", "\n") if sign in _LAYOUT or _printable(sign))


def _printable(sign: str) -> bool:
    return sign >= " " and not "\x7f" <= sign <= "\x9f"


def _clean(value: str | bool) -> str | bool:
    return without_controls(value) if isinstance(value, str) else value


def _part(name: str, locale: str, values: Mapping[str, str | bool]) -> str:
    try:
        text = environment().get_template(f"{locale}/{name}").render(values)
    except TemplateError as error:
        raise Unsendable(f"template {name}: {error}") from error
    if len(text) > OUTPUT_LIMIT:
        raise Unsendable(f"template {name} came out longer than {OUTPUT_LIMIT} characters")
    return text


def _address(text: str) -> Address:
    if len(header(text)) > ADDRESS_LIMIT:
        raise Unsendable(f"an address is longer than {ADDRESS_LIMIT} characters")
    if not text.isascii():
        raise Unsendable("an address has letters that the mail server may not know")
    try:
        address = Address(addr_spec=text)
    except (ValueError, IndexError, MessageError) as error:
        raise Unsendable("an address cannot be read") from error
    if not address.username or not address.domain:
        raise Unsendable("an address has no local part or no domain")
    return address
