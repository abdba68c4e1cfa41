"""Who is calling: forged, foreign, old and future tokens; people, contacts, clients; being switched off."""

import asyncio
import base64
import json
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from structlog.testing import capture_logs

from chassis.auth import Callers, Keys, Verifier
from chassis.clients import Clients, client_id
from chassis.database import Database
from chassis.decision import Actor
from chassis.issuer import Issuer, main
from chassis.problems import Problem
from testkit import toy, toyservice

ISSUER = toyservice.ISSUER


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return toyservice.issuer(tmp_path)


@pytest.fixture
def verifier(issuer: Issuer, tmp_path: Path) -> Verifier:
    return Verifier(Keys((tmp_path / "jwks.json").as_uri()), ISSUER, "throughline")


def signed(key: Any, alg: str, header: dict[str, Any] | None = None, **claims: Any) -> str:
    now = int(time.time())
    said = {"iss": ISSUER, "aud": "throughline", "sub": "ann", "scope": "a b", "exp": now + 600, "iat": now}
    said = {name: value for name, value in (said | claims).items() if value is not None}
    return jwt.encode({"alg": alg, "kid": key.kid, **(header or {})}, said, key, [alg])


async def refused(verifier: Verifier, token: str) -> str:
    with pytest.raises(Problem) as problem:
        await verifier.verify(token)
    assert (problem.value.slug, problem.value.status) == ("unauthenticated", 401)
    assert problem.value.headers["www-authenticate"].startswith("Bearer")
    return problem.value.detail


@pytest.mark.parametrize(
    ("alg", "make"),
    [
        ("RS256", lambda: RSAKey.generate_key(2048, auto_kid=True)),
        ("ES256", lambda: ECKey.generate_key("P-256", auto_kid=True)),
        ("EdDSA", lambda: OKPKey.generate_key("Ed25519", auto_kid=True)),
        ("Ed25519", lambda: OKPKey.generate_key("Ed25519", auto_kid=True)),
    ],
)
async def test_each_allowed_algorithm_verifies(tmp_path: Path, alg: str, make: Callable[[], Any]) -> None:
    key = make()
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        token = signed(key, alg)
    principal = await Verifier(Keys(file.as_uri()), ISSUER, "throughline").verify(token)
    assert (principal.subject, principal.scopes) == ("ann", {"a", "b"})


async def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(issuer: Issuer, verifier: Verifier) -> None:
    public = issuer.key_set()["keys"][0]
    secret = OctKey.import_key(base64.urlsafe_b64decode(public["x"] + "="))
    token = jwt.encode({"alg": "HS256", "kid": public["kid"]}, {"sub": "ann"}, secret, ["HS256"])
    assert "algorithm" in await refused(verifier, token)


async def test_an_unsigned_token_is_refused(issuer: Issuer, verifier: Verifier) -> None:
    parts = issuer.token("ann", "a").split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for token in (f"{header}.{parts[1]}.", f"{header}.{parts[1]}.{parts[2]}"):
        assert "algorithm" in await refused(verifier, token)


async def test_a_key_set_never_brings_a_symmetric_or_private_key(tmp_path: Path) -> None:
    secret = OctKey.generate_key(256, auto_kid=True)
    private = OKPKey.generate_key("Ed25519", auto_kid=True)
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [secret.as_dict(), private.as_dict(private=True)]}))
    with pytest.raises(Problem, match="keys cannot be read"):
        await Verifier(Keys(file.as_uri()), ISSUER, "throughline").verify(signed(private, "Ed25519"))


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "http://other"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "other"}, "another audience"),
        ({"aud": ["other", "more"]}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"aud": 5}, "another audience"),
        ({"aud": {"throughline": 1}}, "another audience"),
        ({"exp": float("nan")}, "expired"),
        ({"exp": float("inf")}, "expired"),
        ({"exp": 10**400}, "expired"),
        ({"nbf": float("nan")}, "not valid yet"),
        ({"iat": float("-inf")}, "not valid yet"),
        ({"exp": None}, "expired"),
        ({"exp": "tomorrow"}, "expired"),
        ({"sub": None}, "names nobody"),
        ({"sub": ""}, "names nobody"),
        ({"sub": "x" * 256}, "names nobody"),
    ],
)
async def test_wrong_claims_are_refused(tmp_path: Path, claims: dict[str, Any], why: str) -> None:
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    assert why in await refused(Verifier(Keys(file.as_uri()), ISSUER, "throughline"), signed(key, "Ed25519", **claims))


@pytest.mark.parametrize(("name", "inside", "outside"), [("exp", -55, -65), ("nbf", 55, 65), ("iat", 55, 65)])
async def test_clocks_may_differ_by_60_seconds(tmp_path: Path, name: str, inside: int, outside: int) -> None:
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    verifier = Verifier(Keys(file.as_uri()), ISSUER, "throughline")
    now = int(time.time())
    await verifier.verify(signed(key, "Ed25519", **{name: now + inside}))
    await refused(verifier, signed(key, "Ed25519", **{name: now + outside}))


async def test_a_token_of_another_type_is_refused(tmp_path: Path) -> None:
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    verifier = Verifier(Keys(file.as_uri()), ISSUER, "throughline")
    for kind in ("at+jwt", "JWT", "application/at+jwt"):
        await verifier.verify(signed(key, "Ed25519", {"typ": kind}))
    assert "no access token" in await refused(verifier, signed(key, "Ed25519", {"typ": "logout+jwt"}))


async def test_an_unknown_key_is_refused_and_a_new_one_is_found(tmp_path: Path, monkeypatch: Any) -> None:
    old, new = (OKPKey.generate_key("Ed25519", auto_kid=True) for _ in range(2))
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [old.as_dict(private=False)]}))
    verifier = Verifier(Keys(file.as_uri()), ISSUER, "throughline")
    await verifier.verify(signed(old, "Ed25519"))
    file.write_text(json.dumps({"keys": [new.as_dict(private=False)]}))
    assert "unknown key" in await refused(verifier, signed(new, "Ed25519"))
    monkeypatch.setattr("chassis.auth._REFRESH_AT_MOST_EVERY", 0.0)
    await verifier.verify(signed(new, "Ed25519"))
    assert "unknown key" in await refused(verifier, signed(old, "Ed25519"))


async def test_known_keys_stay_in_use_while_the_issuer_is_away(
    issuer: Issuer, tmp_path: Path, monkeypatch: Any
) -> None:
    verifier = Verifier(Keys((tmp_path / "jwks.json").as_uri()), ISSUER, "throughline")
    await verifier.verify(issuer.token("ann", ""))
    monkeypatch.setattr("chassis.auth._REFRESH_SECONDS", 0.0)
    monkeypatch.setattr("chassis.auth._REFRESH_AT_MOST_EVERY", 0.0)
    (tmp_path / "jwks.json").unlink()
    await verifier.verify(issuer.token("ann", ""))


async def test_whoever_calls_before_any_key_is_known_is_told_to_come_again(issuer: Issuer, tmp_path: Path) -> None:
    verifier, token = Verifier(Keys((tmp_path / "later.json").as_uri()), ISSUER, "throughline"), issuer.token("ann", "")
    at_once = await asyncio.gather(*(unavailable(verifier.verify(token)) for _ in range(3)))
    found = [*at_once, await unavailable(verifier.verify(token))]
    assert [(each.slug, each.status) for each in found] == [("unavailable", 503)] * 4


async def unavailable(call: Any) -> Problem:
    with pytest.raises(Problem) as problem:
        await call
    return problem.value


NO_KEY_SETS = [
    "{}", "[]", "5", "null", '{"keys": null}', '{"keys": 5}', '{"keys": ["x"]}', '{"keys": []}', '{"keys": [{}]}', "{",
    '{"keys": [{"kty": "EC", "crv": "P-999", "x": "a", "y": "b"}]}', '{"keys": [{"kty": "RSA"}]}',
]  # fmt: skip


@pytest.mark.parametrize("answer", NO_KEY_SETS)
async def test_what_is_no_key_set_replaces_no_key(
    issuer: Issuer, verifier: Verifier, tmp_path: Path, monkeypatch: Any, answer: str
) -> None:
    token = issuer.token("ann", "")
    await verifier.verify(token)
    monkeypatch.setattr("chassis.auth._REFRESH_SECONDS", 0.0)
    monkeypatch.setattr("chassis.auth._REFRESH_AT_MOST_EVERY", 0.0)
    (tmp_path / "jwks.json").write_text(answer)
    with capture_logs() as lines:
        await verifier.verify(token)
    assert [line["event"] for line in lines if line["event"] != "key_not_readable"] == ["keys_not_fetched"]


@pytest.mark.parametrize(
    "odd", ["x", None, {}, {"kty": "AKP", "alg": "ML-DSA-44"}, {"kty": "RSA"}, {"kty": "EC", "crv": "P-999"}]
)
async def test_a_key_that_cannot_be_read_hides_no_other_of_its_set(issuer: Issuer, tmp_path: Path, odd: Any) -> None:
    file = tmp_path / "mixed.json"
    file.write_text(json.dumps({"keys": [odd, *issuer.key_set()["keys"]]}))
    await Verifier(Keys(file.as_uri()), ISSUER, "throughline").verify(issuer.token("ann", ""))


@pytest.mark.parametrize("answer", NO_KEY_SETS)
async def test_what_is_no_key_set_is_an_issuer_that_is_away(issuer: Issuer, tmp_path: Path, answer: str) -> None:
    (tmp_path / "odd.json").write_text(answer)
    verifier = Verifier(Keys((tmp_path / "odd.json").as_uri()), ISSUER, "throughline")
    assert (await unavailable(verifier.verify(issuer.token("ann", "")))).slug == "unavailable"


@given(cut=st.integers(0, 400), replaced=st.integers(0, 400), by=st.characters(codec="ascii"))
async def test_a_damaged_token_is_never_believed(cut: int, replaced: int, by: str) -> None:
    token = _GOOD[0]
    for damaged in (token[: cut % len(token)], token[: (i := replaced % len(token))] + by + token[i + 1 :]):
        if damaged != token and not _same_bytes(damaged, token):
            await refused(_GOOD[1], damaged)


def _same_bytes(one: str, two: str) -> bool:
    """Base64 leaves some bits of a last character without meaning."""

    def decode(text: str) -> list[bytes]:
        return [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in text.split(".")]

    try:
        return decode(one) == decode(two)
    except ValueError:
        return False


def _good() -> tuple[str, Verifier]:
    directory = Path(tempfile.mkdtemp())
    token = toyservice.issuer(directory).token("ann", "a b")
    return token, Verifier(Keys((directory / "jwks.json").as_uri()), ISSUER, "throughline")


_GOOD = _good()


# --- mapped


@pytest_asyncio.fixture
async def url(fresh_database: Any) -> str:
    found: str = (await fresh_database.template("toy", toy.create)).url
    return found


@pytest_asyncio.fixture
async def callers(url: str, verifier: Verifier) -> AsyncIterator[Callers]:
    database = Database(url)
    yield Callers(verifier, database, Clients(database))
    await database.close()


def bearer(issuer: Issuer, subject: str, scopes: str = "a") -> bytes:
    return f"Bearer {issuer.token(subject, scopes)}".encode()


@pytest.mark.servers
async def test_a_persons_roles_are_rights_beside_the_tokens_scopes(url: str, issuer: Issuer, callers: Callers) -> None:
    person = await toyservice.employ(url, "ann", "agent", "billing")
    caller = await callers.caller(bearer(issuer, "ann", "a b"))
    assert caller.actor == Actor("person", person, frozenset({"a", "b", "role:agent", "role:billing"}))
    assert (caller.via, caller.client, caller.principal) == ("http", None, f"{ISSUER}|ann")


@pytest.mark.servers
async def test_a_contact_is_known_by_its_login(url: str, issuer: Issuer, callers: Callers) -> None:
    contact = await toyservice.employ(url, "cleo", kind="contact")
    assert (await callers.caller(bearer(issuer, "cleo"))).actor == Actor("contact", contact, frozenset({"a"}))


@pytest.mark.servers
async def test_a_client_has_the_scopes_that_both_sides_grant(url: str, issuer: Issuer, callers: Callers) -> None:
    await toyservice.register(url, "erp", "a", "c")
    caller = await callers.caller(bearer(issuer, "erp", "a b"))
    assert caller.actor == Actor("client", client_id("erp"), frozenset({"a"}))
    assert caller.client == "erp"


@pytest.mark.servers
async def test_no_login_takes_over_a_client(url: str, issuer: Issuer, callers: Callers) -> None:
    await toyservice.register(url, "erp", "a")
    await toyservice.employ(url, "erp", kind="contact")
    assert (await callers.caller(bearer(issuer, "erp"))).actor == Actor("client", client_id("erp"), frozenset({"a"}))


@pytest.mark.servers
@pytest.mark.parametrize("kinds", [("person", "contact"), ("contact", "person")])
async def test_a_login_of_a_person_and_a_contact_is_neither(
    url: str, issuer: Issuer, callers: Callers, kinds: tuple[str, str]
) -> None:
    for kind in kinds:
        await toyservice.employ(url, "ann", kind=kind)
    with pytest.raises(Problem) as problem:
        await callers.caller(bearer(issuer, "ann"))
    assert (problem.value.slug, problem.value.status) == ("ambiguous-caller", 403)


@pytest.mark.servers
@pytest.mark.parametrize(("kind", "rights"), [("contact", {"a"}), ("person", {"a", "facts:read", "operate"})])
async def test_a_contact_never_has_the_scopes_of_operators(
    url: str, issuer: Issuer, callers: Callers, kind: str, rights: set[str]
) -> None:
    await toyservice.employ(url, "cleo", kind=kind)
    assert (await callers.caller(bearer(issuer, "cleo", "a facts:read operate"))).actor.rights == rights


@pytest.mark.servers
async def test_who_is_unknown_or_switched_off_is_refused(url: str, issuer: Issuer, callers: Callers) -> None:
    await toyservice.employ(url, "gone", active=False)
    for subject in ("gone", "nobody"):
        with pytest.raises(Problem) as problem:
            await callers.caller(bearer(issuer, subject))
        assert (problem.value.slug, problem.value.status) == ("unknown-caller", 403)


@pytest.mark.servers
async def test_a_caller_is_remembered_and_who_is_switched_off_is_out_after_three_seconds(
    url: str, issuer: Issuer, callers: Callers, monkeypatch: Any
) -> None:
    await toyservice.employ(url, "ann")
    header = bearer(issuer, "ann")
    first = await callers.caller(header)
    await toyservice.employ(url, "ann", active=False)
    assert await callers.caller(header) is first
    later = time.monotonic() + 3.1
    monkeypatch.setattr("chassis.auth.time.monotonic", lambda: later)
    with pytest.raises(Problem, match="no active person"):
        await callers.caller(header)


@pytest.mark.servers
async def test_what_a_client_may_is_known_within_five_seconds_of_a_change(
    url: str, issuer: Issuer, callers: Callers, monkeypatch: Any
) -> None:
    await toyservice.register(url, "erp", "a")
    header = bearer(issuer, "erp", "a c")
    assert (await callers.caller(header)).actor.rights == {"a"}
    await toyservice.register(url, "erp", "a", "c")
    later = time.monotonic() + 5
    monkeypatch.setattr("chassis.auth.time.monotonic", lambda: later)
    assert (await callers.caller(header)).actor.rights == {"a", "c"}


@pytest.mark.servers
async def test_a_token_is_verified_again_after_half_a_minute_and_not_before(
    url: str, verifier: Verifier, issuer: Issuer, callers: Callers, monkeypatch: Any
) -> None:
    await toyservice.employ(url, "ann")
    header, began = bearer(issuer, "ann"), time.monotonic()
    await callers.caller(header)

    async def never(token: str) -> Any:
        raise Problem("unauthenticated", "asked again")

    monkeypatch.setattr(verifier, "verify", never)
    monkeypatch.setattr("chassis.auth.time.monotonic", lambda: began + 29)
    await callers.caller(header)
    monkeypatch.setattr("chassis.auth.time.monotonic", lambda: began + 31)
    with pytest.raises(Problem, match="asked again"):
        await callers.caller(header)


@pytest.mark.servers
@pytest.mark.parametrize("header", [None, b"", b"Basic YTpi", b"Bearer", b"Bearer a.b.c", b"Bearer \xff", b"x"])
async def test_what_is_no_bearer_token_is_refused(callers: Callers, header: bytes | None) -> None:
    with pytest.raises(Problem) as problem:
        await callers.caller(header)
    assert problem.value.status == 401


# --- the development issuer


def test_the_development_issuer_does_not_start_in_production(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for env in (None, "production"):
        monkeypatch.setenv("THROUGHLINE_ENV", env) if env else monkeypatch.delenv("THROUGHLINE_ENV", raising=False)
        assert main(["--directory", str(tmp_path)]) == 2
        assert "THROUGHLINE_ENV" in capsys.readouterr().err


def test_the_issuers_key_survives_a_restart_and_is_its_owners_alone(tmp_path: Path) -> None:
    first = Issuer(tmp_path, ISSUER)
    assert Issuer(tmp_path, ISSUER).key_set() == first.key_set()
    assert (tmp_path / "issuer-key.json").stat().st_mode & 0o077 == 0
    assert "d" not in first.key_set()["keys"][0]


def test_tokens_of_one_subject_differ(issuer: Issuer) -> None:
    assert issuer.token("ann", "a") != issuer.token("ann", "a")
