"""What all services read from the environment; read once, in `run`. A wrong or missing value stops the start."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from chassis import failpoints

PREFIX = "THROUGHLINE_"

Count = Annotated[int, Field(ge=1)]


class CommonSettings(BaseSettings):
    """What every program of an installation reads: where it runs, its prefix, its Kafka.

    Every name is read from `<SERVICE>_<NAME>` first (`INTAKE_DATABASE_URL`), then from `THROUGHLINE_<NAME>`; with
    `_FILE` behind the name the value is read from that file (mounted secrets). Nothing else is read, no `.env`.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    env: Literal["production", "development", "test"] = "production"
    """Where it runs. Only `development` and `test` allow the development issuer, http:// keys and `/openapi.json`."""
    prefix: Annotated[str, Field(pattern=r"^([a-z][a-z0-9-]{0,19})?$")] = ""
    """Put before topics, consumer groups, sources, schemas and roles, so that installations can share servers."""

    kafka_bootstrap: Annotated[str, Field(min_length=1)]
    """`host:port[,host:port…]`"""
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How Kafka is spoken to. SASL needs user name and password, and TLS in production."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_ca_file: Path | None = None
    """Certificates that the brokers are checked against; the system's without it."""
    kafka_cert_file: Path | None = None
    kafka_key_file: Path | None = None
    """With `kafka_cert_file`: who this process is, for brokers that ask for a certificate."""
    partitions: Annotated[int, Field(ge=1, le=64)] = 12
    """Partitions of every stream; chosen at install and fixed for its life."""

    @model_validator(mode="after")
    def _kafka_is_safe(self) -> Self:
        if self.kafka_security.startswith("SASL") and not (self.kafka_username and self.kafka_password):
            raise ValueError("kafka_security needs kafka_username and kafka_password")
        if self.env == "production" and self.kafka_security == "SASL_PLAINTEXT":
            raise ValueError("kafka_security must not send passwords in the clear in production")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `read` passes in: the environment is read there."""
        return (init_settings,)


class ServiceSettings(CommonSettings):
    """The settings of one process of one service."""

    database_url: SecretStr
    """`postgresql://login:password@host/database` of the service's runtime login (several hosts allowed)."""
    database_direct_url: SecretStr | None = None
    """The same without a pooler in between, for LISTEN; without it a pooled service polls."""
    database_pgbouncer: bool = False
    """Whether `database_url` is a PgBouncer in transaction mode: no prepared statements are kept then."""
    relay_database_url: SecretStr | None = None
    """The relay's own login; the relay role uses `database_url` without it."""
    database_pool: Annotated[int, Field(ge=1, le=200)] = 8
    """Connections at most, once for writing and once for reading."""

    journal_months: Annotated[int, Field(ge=0, le=600)] = 0
    """Whole months of the journal kept behind the current one; older ones are dropped once nothing needs them. 0 keeps
    all."""

    instance: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,200}$")] = ""
    """A name of this process that it alone has and keeps over its restarts, such as a StatefulSet's pod name: after a
    crash it gets the facts of its partitions back at once, instead of once the group has missed it for 20 s."""
    batch_records: Annotated[int, Field(ge=1, le=2000)] = 500
    """Records that a worker decides at once, at most."""
    batch_bytes: Annotated[int, Field(ge=1 << 20, le=64 << 20)] = 8 << 20
    """Bytes that a worker fetches at once, at most."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """0 takes a free port and says which, on standard output and in `port_file`."""
    relay_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """With `--role all`: where the relay's process answers for its health and metrics; 0 takes a free port."""
    port_file: Path | None = None
    """Where to write `{"role", "host", "port", "pid"}` once the process listens."""
    body_limit: Annotated[int, Field(ge=1024)] = 128 << 10
    """Bytes of a body over HTTP, at most."""
    concurrency: Count = 2_000
    """Requests in hand at once; what is beyond is answered 503 at once."""
    trusted_proxies: str = ""
    """Addresses whose `Forwarded` headers are believed, as uvicorn takes them."""
    drain_seconds: Annotated[float, Field(gt=0, le=300)] = 20.0
    """Time to finish what is in hand after SIGTERM; what takes longer ends the process with status 1."""
    docs_url: str = "/problems"
    """Where `docs/problems.md` is published; the `type` of a problem is `<docs_url>#<slug>`, on topics too."""

    jwks_url: str
    """The issuer's key set: `https://…`, or `file:///…`."""
    issuer: Annotated[str, Field(min_length=1)]
    """What tokens must say in `iss`."""
    audience: Annotated[str, Field(min_length=1)] = "throughline"
    """What tokens must say in `aud`, among others."""

    otlp_endpoint: str | None = None
    """Where spans go (`http://collector:4318`); none are made without it."""
    trace_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    """The part of requests traced that come without a sampled `traceparent`."""
    failpoints: str = ""
    """Where this process kills or pauses itself, such as `relay.sent=kill@7`. Refused unless `env` is `test`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    @field_validator("failpoints")
    @classmethod
    def _are_failpoints(cls, text: str) -> str:
        failpoints.parse(text)
        return text

    @field_validator("jwks_url")
    @classmethod
    def _keys_come_safely(cls, url: str) -> str:
        if not url.startswith(("https://", "http://", "file:///")):
            raise ValueError("must begin with https:// or file:///")
        return url

    @field_validator("database_url", "database_direct_url", "relay_database_url")
    @classmethod
    def _is_postgres(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql://")
        return url

    @model_validator(mode="after")
    def _fails_only_in_tests(self) -> Self:
        if self.failpoints and self.env != "test":
            raise ValueError("failpoints are for env test alone")
        return self

    @model_validator(mode="after")
    def _keys_are_safe(self) -> Self:
        if self.env == "production" and self.jwks_url.startswith("http://"):
            raise ValueError("jwks_url must be https:// in production")
        return self


S = TypeVar("S", bound=CommonSettings)


class WrongSetting(Exception):
    """One line that names the setting and says what is wrong with it."""


def read(settings: type[S], service: str, environment: dict[str, str] | None = None) -> S:
    """The settings of `service` from the environment; raises WrongSetting for the first that is missing or wrong."""
    found = dict(os.environ) if environment is None else environment
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    for field in settings.model_fields:
        names[field] = PREFIX + field.upper()
        for name in (f"{service.upper()}_{field.upper()}", PREFIX + field.upper()):
            if name + "_FILE" in found and f"{field}_file" not in settings.model_fields:
                names[field], values[field] = name + "_FILE", _content(name + "_FILE", found[name + "_FILE"])
                break
            if name in found:
                names[field], values[field] = name, found[name]
                break
    try:
        return settings(**values)
    except ValidationError as error:
        raise WrongSetting(_line(error, names)) from None


def environment() -> dict[str, str]:
    """The environment as it is now, for the few programs that have no settings class."""
    return dict(os.environ)


def environment_of() -> str:
    """`THROUGHLINE_ENV`: production when it is not set."""
    return environment().get(PREFIX + "ENV", "production")


def read_or_exit(settings: type[S], service: str) -> S:
    """`read`, or one plain line on standard error and exit status 2."""
    try:
        return read(settings, service)
    except WrongSetting as wrong:
        print(f"{service}: {wrong}", file=sys.stderr)
        raise SystemExit(2) from None


def _content(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSetting(f"{name}: {path} cannot be read ({type(error).__name__})") from None


def _line(error: ValidationError, names: dict[str, str]) -> str:
    """The first error as one line; the value itself is never shown (it may be a secret)."""
    first = error.errors(include_input=False, include_url=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        field = message.split(" ", 1)[0]
        return f"{names.get(field, field)}: {message.split(' ', 1)[-1]}"
    field = str(first["loc"][0])
    if first["type"] == "missing":
        return f"{names.get(field, field)} is not set"
    return f"{names.get(field, field)}: {message[0].lower()}{message[1:]}"
