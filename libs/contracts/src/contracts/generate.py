"""Write what is generated from the contract: `python -m contracts.generate [--check]`.

Writes schema files, `docs/asyncapi.yaml` and `docs/events.md`. With `--check` nothing is written and the exit status
says whether the files are up to date. A frozen schema that its class contradicts is never overwritten.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from contracts.publish.asyncapi import asyncapi_text
from contracts.publish.handbook import handbook
from contracts.publish.schemas import changed_without_version, frozen_schemas, revision_name, schema_of, text_of
from contracts.registry import MESSAGES

ROOT = Path(__file__).parents[4]
SCHEMA_FILES = Path("libs/contracts/schemas")
EXAMPLE_FILES = Path("libs/contracts/examples")


def generated(root: Path) -> dict[Path, str]:
    """Every generated file with its text."""
    files = {
        root / SCHEMA_FILES / f"{revision_name(message)}.json": text_of(schema_of(message))
        for message in MESSAGES.values()
    }
    files[root / "docs/asyncapi.yaml"] = asyncapi_text(root / EXAMPLE_FILES)
    files[root / "docs/events.md"] = handbook(root / EXAMPLE_FILES)
    return files


def stale(files: Mapping[Path, str]) -> list[Path]:
    """Those of the generated files that are missing or say something else."""
    return [path for path, text in files.items() if not path.exists() or path.read_text() != text]


def main(arguments: list[str] | None = None) -> int:
    """Generate or check; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m contracts.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file is not up to date")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    options = parser.parse_args(arguments)
    broken = changed_without_version(MESSAGES.values(), frozen_schemas(options.root / SCHEMA_FILES))
    for sentence in broken:
        print(sentence, file=sys.stderr)
    if broken:
        return 1
    files = generated(options.root)
    for path in stale(files):
        print(f"{'not up to date' if options.check else 'written'}: {path.relative_to(options.root)}")
        if options.check:
            broken.append(str(path))
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path])
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
