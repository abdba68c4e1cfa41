"""Problem documents (RFC 9457): one table of slugs, one shape for HTTP answers, results topics and stored answers."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Self

import orjson

from chassis.decision import Refused

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 100
"""Wrong fields that one document names; `detail` says how many there are."""
_POINTER, _WHY = 200, 500
"""Characters of a pointer, and of what is wrong there."""
DOCS = "/problems"
"""Where the page of all problems is, unless a setting says otherwise."""

CATALOGUE: dict[str, tuple[int, str, str]] = {
    "malformed-json": (400, "Malformed JSON", "The body is not one JSON value in UTF-8."),
    "too-deep": (400, "JSON nested too deeply", "Objects and arrays may be nested 32 deep."),
    "bad-header": (400, "Bad header", "A header has a value that cannot be read; `detail` names it."),
    "idempotency-key-missing": (
        400,
        "Idempotency-Key missing",
        "Every command needs an `Idempotency-Key` of 1 to 255 printable characters, so that repeating it is safe.",
    ),
    "bad-cursor": (400, "Bad cursor", "`after` must be a cursor from an earlier answer of the same list."),
    "unauthenticated": (401, "Not authenticated", "A valid bearer token is needed; `detail` says what is wrong."),
    "insufficient-scope": (403, "Scope missing", "The token, or the client's registration, lacks the scope it needs."),
    "unknown-caller": (
        403,
        "Unknown caller",
        "The token's `sub` is no active person, contact or registered client here.",
    ),
    "ambiguous-caller": (
        403,
        "Ambiguous caller",
        "The token's `sub` is the login of a person and of a contact here; one of them must get another login.",
    ),
    "actor-not-allowed": (403, "Acting for others", "This client may not name an `actor` other than itself."),
    "backdating-not-allowed": (
        403,
        "Backdating",
        "`effective_at` and history mode need the right `history:write`.",
    ),
    "forbidden": (403, "Forbidden", "The caller may not do this."),
    "not-found": (404, "Not found", "There is nothing here, or nothing that the caller may see."),
    "unknown": (404, "Unknown", "It names a request or a document that is not known here (yet)."),
    "method-not-allowed": (405, "Method not allowed", "The `Allow` header lists the methods that exist here."),
    "not-acceptable": (406, "Not acceptable", "Answers are JSON."),
    "refused": (409, "Refused", "A rule of the business refuses it; `detail` says which."),
    "busy": (409, "Busy", "The same key is still being worked on. Repeat it after `Retry-After` seconds."),
    "body-late": (408, "Body too late", "The whole body must be here within 10 s."),
    "stale-version": (
        412,
        "Changed meanwhile",
        "`If-Match` names an older one. `current` and the `ETag` are today's.",
    ),
    "too-large": (413, "Body too large", "A body may have 128 KiB."),
    "unsupported-media-type": (415, "Unsupported media type", "Send `application/json`, unencoded."),
    "invalid": (422, "Invalid", "`errors` names each wrong field by JSON Pointer, the first hundred."),
    "idempotency-key-reused": (
        422,
        "Key used before",
        "The same key, or command id, came with other content before.",
    ),
    "wrong-key": (422, "Wrong record key", "A record's key must be the command's subject."),
    "too-many-hops": (
        422,
        "Too many causes",
        "More than ten causes lie before it: systems answer each other in a loop.",
    ),
    "unreadable": (422, "Unreadable", "What waited here cannot be read any more; `detail` says why."),
    "unknown-command": (422, "Unknown command", "This service takes no command of that type."),
    "if-match-missing": (428, "If-Match missing", "Send the `ETag` that you read as `If-Match`."),
    "overloaded": (503, "Overloaded", "Too much is in hand here. Repeat after `Retry-After` seconds."),
    "unavailable": (503, "Unavailable", "Something it needs is away. Repeat it after `Retry-After` seconds."),
    "outcome-unknown": (503, "Outcome unknown", "It may or may not have happened. Repeat it with the same key."),
    "position-not-reached": (
        503,
        "Not caught up",
        "The `Throughline-Position` asked for is not heard here yet.",
    ),
    "internal": (500, "Internal error", "An error of ours. `trace_id` leads our operators to it."),
}
"""slug → status, title, meaning: every problem that the chassis itself answers."""


class Problem(Refused):
    """A refusal by the chassis itself: its slug is one of the catalogue's. Raised in an edge it becomes the answer."""

    def __init__(self, slug: str, detail: str = "", *, headers: Mapping[str, str] | None = None, **facts: Any) -> None:
        super().__init__(detail, **facts)
        self.slug = slug  # type: ignore[misc]
        self.status = CATALOGUE[slug][0]  # type: ignore[misc]
        self.headers = headers or {}

    @classmethod
    def invalid(cls, errors: Mapping[str, str]) -> Self:
        """The 422 that names each wrong field by JSON Pointer, the first hundred of them, with long names cut."""
        listed = [
            {"pointer": pointer[:_POINTER], "detail": why[:_WHY]}
            for pointer, why in islice(errors.items(), MOST_ERRORS)
        ]
        return cls("invalid", f"{len(errors)} field(s) cannot be accepted", errors=listed)


def document(refused: Refused, docs_url: str, trace_id: str | None = None) -> dict[str, Any]:
    """The members of the problem document of a refusal, over HTTP and on topics; `type` resolves at `docs_url`."""
    body: dict[str, Any] = {
        **refused.facts,
        "type": f"{docs_url}#{refused.slug}",
        "title": title(refused.slug),
        "status": refused.status,
    }
    if refused.detail:
        body["detail"] = refused.detail
    if trace_id:
        body["trace_id"] = trace_id
    return body


def to_bytes(refused: Refused, docs_url: str, trace_id: str | None = None) -> bytes:
    """The problem document as JSON."""
    return orjson.dumps(document(refused, docs_url, trace_id), default=str)


def title(slug: str) -> str:
    """A short sentence that is the same for every occurrence."""
    known = CATALOGUE.get(slug)
    return known[1] if known else slug.replace("-", " ").capitalize()


def refusals() -> list[type[Refused]]:
    """Every refusal that the modules imported so far declare."""
    found: list[type[Refused]] = []
    waiting = [Refused]
    while waiting:
        for child in waiting.pop().__subclasses__():
            waiting.append(child)
            if "slug" in vars(child) and child.slug not in CATALOGUE:
                found.append(child)
    return sorted(found, key=lambda each: each.slug)


def page(more: Iterable[type[Refused]] = ()) -> str:
    """The page that the `type` of every problem document leads to, as Markdown."""
    lines = [
        "# Problems",
        "",
        "Every error is a problem document (RFC 9457, `application/problem+json`). Its `type` ends in one of the names",
        "below; `detail` says more about this occurrence, `errors` lists wrong fields by JSON Pointer, `trace_id`",
        "leads operators to it. Answers on results topics carry the same documents.",
    ]
    for slug, (status, name, meaning) in sorted(CATALOGUE.items()):
        lines += ["", f"## {slug}", "", f"{status} · {name}. {meaning}"]
    seen: set[str] = set()
    for refusal in more:
        if refusal.slug not in seen:
            seen.add(refusal.slug)
            meaning = " ".join((refusal.__doc__ or "").split())
            lines += ["", f"## {refusal.slug}", "", f"{refusal.status} · {meaning}"]
    return "\n".join(lines) + "\n"
