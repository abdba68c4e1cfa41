"""Write rules and dashboards anew from their descriptions: `python -m cli.observability FOLDER`."""

import sys
from pathlib import Path

from cli.observability import dashboards, rules, slo


def generated(folder: Path) -> dict[Path, str]:
    """Every generated file with its text."""
    files = {folder / "rules.yaml": rules.text(slo.read(folder / "slo.yaml"))}
    for each in dashboards.read(folder / "dashboards.yaml"):
        files[folder / "dashboards" / f"{each['uid']}.json"] = dashboards.text(each)
    return files


def main(folder: Path) -> int:
    """Write what is generated, and remove what is generated no more."""
    files = generated(folder)
    (folder / "dashboards").mkdir(exist_ok=True)
    for old in set((folder / "dashboards").glob("*.json")) - files.keys():
        old.unlink()
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
