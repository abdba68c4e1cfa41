"""The generated references of services: `python -m chassis.describe DOCS SERVICE…`.

Writes `openapi/<service>.json`, `problems.md` and `settings.md` below DOCS, from the services' own declarations.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from chassis import door, problems, wiring
from chassis.settings import PREFIX, ServiceSettings

_ANY: dict[str, Any] = {
    "database_url": SecretStr("postgresql://nobody@localhost/none"),
    "kafka_bootstrap": "localhost:9092",
    "jwks_url": "https://localhost/jwks.json",
    "issuer": "https://localhost",
}


def openapi(service: Any, settings: type[ServiceSettings]) -> str:
    """The OpenAPI description of a service as JSON; nothing is connected for it."""
    runtime = wiring.build(service, settings(**_ANY), "api")
    return json.dumps(door.build(runtime)[0].openapi(), indent=2, ensure_ascii=False) + "\n"


def settings_page(services: Sequence[tuple[str, type[ServiceSettings]]]) -> str:
    """Every setting with its default and meaning, as Markdown."""
    lines = [
        "# Settings",
        "",
        "A process reads its settings from the environment, once, at its start: `<SERVICE>_<NAME>` first, then",
        f"`{PREFIX}<NAME>`. With `_FILE` behind the name the value is read from that file. A wrong or missing value",
        "refuses the start with one line that names it (exit status 2).",
        "",
        "## Every service",
        *_table(PREFIX, ServiceSettings, frozenset()),
    ]
    for name, settings in services:
        own = list(_table(f"{name.upper()}_", settings, frozenset(ServiceSettings.model_fields)))
        if len(own) > 3:
            lines += ["", f"## {name}", *own]
    return "\n".join(lines) + "\n"


def _table(prefix: str, settings: type[ServiceSettings], known: frozenset[str]) -> Iterator[str]:
    yield from ("", "| name | default | meaning |", "|---|---|---|")
    for name, field in settings.model_fields.items():
        if name in known:
            continue
        default = "**needed**" if field.default is PydanticUndefined else _shown(field.default)
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        yield f"| `{prefix}{name.upper()}` | {default} | {meaning} |"


def _shown(value: Any) -> str:
    return "" if value is None or value == "" else f"`{value}`"


def main(arguments: Sequence[str]) -> int:
    """Write everything anew."""
    docs, names = Path(arguments[0]), arguments[1:]
    mains = {name: import_module(f"{name}.main") for name in names}
    (docs / "openapi").mkdir(parents=True, exist_ok=True)
    for name, found in mains.items():
        (docs / "openapi" / f"{name}.json").write_text(openapi(found.SERVICE, found.Settings), encoding="utf-8")
    (docs / "problems.md").write_text(problems.page(problems.refusals()), encoding="utf-8")
    pages = [(name, found.Settings) for name, found in mains.items()]
    (docs / "settings.md").write_text(settings_page(pages), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
