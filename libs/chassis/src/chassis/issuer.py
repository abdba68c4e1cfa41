"""A token issuer for development, demos and tests: a key pair of its own, its key set, and `POST /token`.

Whoever reaches it gets any token. It refuses to start in production.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import uvloop
from joserfc import jwt
from joserfc.jwk import OKPKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from chassis.clock import utc_now
from chassis.ids import new_id
from chassis.serving import Server, announce
from chassis.settings import WrongSetting, environment_of

ALGORITHM = "Ed25519"


class Issuer:
    """Signs tokens. The private key lies in `directory` (mode 0600), so that a restart keeps tokens valid."""

    def __init__(self, directory: Path, issuer: str, audience: str = "throughline") -> None:
        self.name = issuer
        self._audience = audience
        self._key = _key_in(directory)

    def token(self, subject: str, scopes: str, *, seconds: int = 3600) -> str:
        """An access token for a subject with scopes (separated by spaces)."""
        now = int(utc_now().timestamp())
        claims = {
            "iss": self.name,
            "aud": self._audience,
            "sub": subject,
            "scope": scopes,
            "iat": now,
            "exp": now + seconds,
            "jti": str(new_id()),
        }
        return jwt.encode({"alg": ALGORITHM, "typ": "at+jwt", "kid": self._key.kid}, claims, self._key, [ALGORITHM])

    def key_set(self) -> dict[str, Any]:
        """The public key as a JWKS."""
        return {"keys": [{**self._key.as_dict(private=False), "alg": ALGORITHM, "use": "sig"}]}

    def app(self) -> Starlette:
        """`GET /jwks.json`, `GET /.well-known/openid-configuration`, `POST /token` and /readyz."""
        return Starlette(
            routes=[
                Route("/jwks.json", self._jwks),
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/token", self._token, methods=["POST"]),
                Route("/readyz", _ready),
            ]
        )

    async def _jwks(self, _: Request) -> JSONResponse:
        return JSONResponse(self.key_set())

    async def _discovery(self, request: Request) -> JSONResponse:
        base = str(request.base_url).rstrip("/")
        return JSONResponse({"issuer": self.name, "jwks_uri": f"{base}/jwks.json", "token_endpoint": f"{base}/token"})

    async def _token(self, request: Request) -> JSONResponse:
        try:
            asked = json.loads(await request.body())
            token = self.token(str(asked["sub"]), str(asked.get("scope", "")), seconds=int(asked.get("seconds", 3600)))
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"error": "invalid_request"}, 400)
        return JSONResponse({"access_token": token, "token_type": "Bearer"})


async def _ready(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


def _key_in(directory: Path) -> OKPKey:
    path = directory / "issuer-key.json"
    if path.exists():
        return OKPKey.import_key(json.loads(path.read_text(encoding="utf-8")))
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    directory.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(key.as_dict(private=True)), encoding="utf-8")
    return key


def main(arguments: list[str]) -> int:
    """`python -m chassis.issuer --directory D --issuer NAME [--host --port --port-file]`."""
    parser = argparse.ArgumentParser(prog="python -m chassis.issuer", description="A token issuer for development.")
    parser.add_argument("--directory", type=Path, required=True, help="where its key lies")
    parser.add_argument("--issuer", default="http://issuer.localhost", help="what tokens name as their issuer")
    parser.add_argument("--audience", default="throughline")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--port-file", type=Path)
    options = parser.parse_args(arguments)
    try:
        if environment_of() == "production":
            raise WrongSetting("THROUGHLINE_ENV: the development issuer does not run in production")
    except WrongSetting as wrong:
        print(f"issuer: {wrong}", file=sys.stderr)
        return 2
    uvloop.run(_serve(options))
    return 0


async def _serve(options: argparse.Namespace) -> None:
    issuer = Issuer(options.directory, options.issuer, options.audience)
    server = Server(issuer.app(), host=options.host, port=options.port)
    await asyncio.gather(server.serve(), _announced(server, options))


async def _announced(server: Server, options: argparse.Namespace) -> None:
    await server.listening()
    server.stop_on_signals()
    announce("issuer", "issuer", server, options.port_file)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
