"""Who is calling: a bearer token verified by the issuer's key set, mapped to a person, a contact or a client."""

import asyncio
import base64
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
import orjson
import structlog
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from chassis.clients import Clients
from chassis.clock import utc_now
from chassis.database import Database
from chassis.decision import Actor
from chassis.problems import Problem

OPERATORS = frozenset({"facts:read", "operate"})
"""Scopes that show everybody's data. A contact has none of them, whatever its token says."""
ALGORITHMS = ["RS256", "ES256", "EdDSA", "Ed25519"]
SKEW_SECONDS = 60
REMEMBER_SECONDS = 30.0
"""How long a verified token is believed without looking at its signature again."""
MAPPED_SECONDS = 3.0
"""How long the person, contact or client behind it is believed to be as it was read."""
_REMEMBERED = 20_000
_TOKEN_LIMIT = 8 << 10
_LAST_SECOND = 1e12
_REFRESH_SECONDS = 600.0
_REFRESH_AT_MOST_EVERY = 30.0
_BY_LOGIN = (
    "SELECT kind, id, doc::text FROM documents WHERE kind IN ('person', 'contact') AND doc ->> 'login' = $1 LIMIT 2"
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Principal:
    """What a verified token says."""

    issuer: str
    subject: str
    scopes: frozenset[str]
    expires_at: float


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for something, by whichever door.

    `principal` is unique among everybody who may call; idempotency keys are counted per principal.
    `effective_at` is a backdated time for which the right `history:write` has been checked.
    """

    actor: Actor
    via: Literal["http", "kafka"]
    principal: str
    client: str | None = None
    effective_at: datetime | None = None

    def require(self, scope: str) -> None:
        """Raise the 403 that names the scope, unless the caller has it."""
        if scope not in self.actor.rights:
            raise Problem("insufficient-scope", f"needs the scope {scope}", headers=_challenge("insufficient_scope"))


def _challenge(error: str) -> dict[str, str]:
    return {"www-authenticate": f'Bearer error="{error}"'}


def unauthenticated(detail: str) -> Problem:
    """The 401 that says why."""
    return Problem("unauthenticated", detail, headers=_challenge("invalid_token"))


class Keys:
    """The issuer's public keys: fetched once, refreshed every ten minutes, and for an unknown key at most every 30 s.

    While the issuer tells no keys, those known before stay in use; without any, callers are told to come again.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: dict[str, RSAKey | ECKey | OKPKey] = {}
        self._fetched_at = -_REFRESH_SECONDS
        self._tried_at = -_REFRESH_AT_MOST_EVERY
        self._fetching = asyncio.Lock()

    async def find(self, kid: str | None) -> RSAKey | ECKey | OKPKey | None:
        """The key of this id; without an id, the only key there is."""
        now = time.monotonic()
        if now - self._fetched_at > _REFRESH_SECONDS or self._pick(kid) is None:
            await self._refresh()
        return self._pick(kid)

    def _pick(self, kid: str | None) -> RSAKey | ECKey | OKPKey | None:
        if kid is not None:
            return self._keys.get(kid)
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    async def _refresh(self) -> None:
        async with self._fetching:
            if time.monotonic() - self._tried_at >= _REFRESH_AT_MOST_EVERY:
                await self._fetch()
        if not self._keys:
            raise Problem("unavailable", "the issuer's keys cannot be read", headers={"retry-after": "2"})

    async def _fetch(self) -> None:
        self._tried_at = time.monotonic()
        try:
            self._keys = _public_keys(await self._document())
            self._fetched_at = time.monotonic()
        except (httpx2.HTTPError, OSError, ValueError, JoseError) as error:
            log.warning("keys_not_fetched", url=self._url, error=f"{type(error).__name__}: {error}")
            if not self._keys:
                self._tried_at = time.monotonic() - _REFRESH_AT_MOST_EVERY + 1.0

    async def _document(self) -> Any:
        if self._url.startswith("file://"):
            content = await asyncio.to_thread(Path(urlsplit(self._url).path).read_bytes)
        else:
            async with httpx2.AsyncClient(timeout=5.0, trust_env=False, follow_redirects=False) as client:
                answer = await client.get(self._url)
                answer.raise_for_status()
                content = answer.content
        return orjson.loads(content)


def _public_keys(document: Any) -> dict[str, RSAKey | ECKey | OKPKey]:
    """Signature keys of the kinds that are allowed; symmetric ones are never taken. Others are passed over.

    Raises ValueError for what is no key set, or one without any such key.
    """
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("no key set")
    keys = [key for each in document["keys"] if (key := _public_key(each)) is not None]
    if not keys:
        raise ValueError("a key set without a public key for signatures")
    return {str(key.kid or key.thumbprint()): key for key in keys}


def _public_key(described: Any) -> RSAKey | ECKey | OKPKey | None:
    """The key; None for one of another kind, and for one that cannot be read (RFC 7517, section 5)."""
    try:
        if described.get("kty") not in ("RSA", "EC", "OKP") or described.get("use", "sig") != "sig" or "d" in described:
            return None
        key = JWKRegistry.import_key(described)
    except (JoseError, ValueError, LookupError, TypeError, AttributeError) as error:
        log.warning("key_not_readable", error=f"{type(error).__name__}: {error}")
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


class Verifier:
    """Tokens of one issuer for one audience: RS256, ES256 or EdDSA, within 60 s of skew."""

    def __init__(self, keys: Keys, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    async def verify(self, token: str) -> Principal:
        """What the token says; raises the 401 that says why it is not believed."""
        if len(token) > _TOKEN_LIMIT:
            raise unauthenticated("the token is too long")
        key = await self._keys.find(_kid(token))
        if key is None:
            raise unauthenticated("the token is signed by an unknown key")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)  # EdDSA is the older name of Ed25519 (RFC 9864)
                decoded = jwt.decode(token, key, algorithms=ALGORITHMS)
        except (JoseError, ValueError, TypeError, KeyError):
            raise unauthenticated("the token's signature does not verify") from None
        if str(decoded.header.get("typ", "JWT")).lower() not in ("jwt", "at+jwt", "application/at+jwt"):
            raise unauthenticated("the token is no access token")
        return self._claims(decoded.claims)

    def _claims(self, claims: dict[str, Any]) -> Principal:
        now = utc_now().timestamp()
        audience = claims.get("aud")
        subject, expires_at = claims.get("sub"), claims.get("exp", 0)
        if claims.get("iss") != self._issuer:
            raise unauthenticated("the token is from another issuer")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise unauthenticated("the token is for another audience")
        if not _is_time(expires_at) or expires_at + SKEW_SECONDS <= now:
            raise unauthenticated("the token has expired")
        for name in ("nbf", "iat"):
            since = claims.get(name, 0)
            if not _is_time(since) or since - SKEW_SECONDS > now:
                raise unauthenticated("the token is not valid yet")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise unauthenticated("the token names nobody")
        return Principal(self._issuer, subject, _scopes(claims), float(expires_at))


def _is_time(claim: Any) -> bool:
    """Whether it is a number of seconds that a clock may show; infinity and what is no number are none."""
    return isinstance(claim, int | float) and abs(claim) < _LAST_SECOND


def _kid(token: str) -> str | None:
    """The key id in a token's header; raises the 401 for what is no signed token of an allowed kind."""
    try:
        header = jwt_header(token)
    except (ValueError, IndexError):
        raise unauthenticated("the token is no JWT") from None
    if header.get("alg") not in ALGORITHMS:
        raise unauthenticated("the token's algorithm is not accepted")
    kid = header.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise unauthenticated("the token's key id is no text")
    return kid


def jwt_header(token: str) -> dict[str, Any]:
    """The unverified header of a compact JWT; raises ValueError for anything else."""
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("not three parts")
    header = orjson.loads(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
    if not isinstance(header, dict):
        raise ValueError("no header")
    return header


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    listed = claims.get("scope", claims.get("scp", ()))
    if isinstance(listed, str):
        return frozenset(listed.split())
    return frozenset(each for each in listed if isinstance(each, str)) if isinstance(listed, Iterable) else frozenset()


class Callers:
    """Verified callers. A token is remembered for 30 s at most, whom it stands for for 3 s."""

    def __init__(self, verifier: Verifier, database: Database, clients: Clients) -> None:
        self._verifier = verifier
        self._database = database
        self._clients = clients
        self._seen: dict[bytes, tuple[float, Caller]] = {}
        self._verified: dict[bytes, tuple[float, Principal]] = {}

    def remembered(self, authorization: bytes | None) -> Caller | None:
        """The caller behind an `Authorization` header that was verified a moment ago."""
        found = self._seen.get(authorization or b"")
        return found[1] if found is not None and found[0] > time.monotonic() else None

    async def caller(self, authorization: bytes | None) -> Caller:
        """The caller behind an `Authorization` header; raises the 401 or 403 that says what is wrong."""
        found = self.remembered(authorization)
        if found is not None:
            return found
        if not authorization:
            raise Problem("unauthenticated", "a bearer token is needed", headers={"www-authenticate": "Bearer"})
        principal, until = await self._principal(authorization)
        caller = await self._mapped(principal)
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[authorization] = (min(time.monotonic() + MAPPED_SECONDS, until), caller)
        return caller

    async def _principal(self, authorization: bytes) -> tuple[Principal, float]:
        """What the header's token says, and until when that is believed."""
        until, principal = self._verified.get(authorization, (0.0, None))
        if principal is not None and until > time.monotonic():
            return principal, until
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise unauthenticated("the Authorization header is no bearer token")
        try:
            principal = await self._verifier.verify(token.strip().decode("ascii"))
        except UnicodeDecodeError:
            raise unauthenticated("the token is no JWT") from None
        lasts = min(REMEMBER_SECONDS, principal.expires_at + SKEW_SECONDS - utc_now().timestamp())
        if len(self._verified) >= _REMEMBERED:
            self._verified.clear()
        until = time.monotonic() + lasts
        self._verified[authorization] = until, principal
        return principal, until

    async def _mapped(self, principal: Principal) -> Caller:
        """Whom a token's subject is here: a registered client, else the one person or contact with this login.

        Logins are given by whoever may register contacts, so none may take over a client or a member of the staff.
        """
        name = f"{principal.issuer}|{principal.subject}"
        client = await self._clients.get(principal.subject)
        if client is not None:
            actor = Actor("client", client.actor.id, principal.scopes & client.scopes)
            return Caller(actor, "http", name, client.name)
        rows = await self._database.read(_BY_LOGIN, principal.subject)
        if len(rows) > 1:
            raise Problem("ambiguous-caller", "the token's subject is the login of more than one here")
        for kind, key, text in rows:
            document = orjson.loads(text)
            if document.get("active", True):
                granted = principal.scopes - OPERATORS if kind == "contact" else principal.scopes
                rights = granted | {f"role:{role}" for role in document.get("roles", ())}
                return Caller(Actor(kind, UUID(key), rights), "http", name)
        raise Problem("unknown-caller", "the token's subject is no active person, contact or client here")
