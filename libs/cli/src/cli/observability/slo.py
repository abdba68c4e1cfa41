"""`slo.yaml`, read and checked: what is promised, what is a fault, and who is told."""

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

Severity = Literal["page", "ticket"]
Duration = Annotated[str, Field(pattern=r"^\d+[smhd]$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Window(_Strict):
    """How fast the budget must burn, over two windows at once, for somebody to be told."""

    burn: float
    long: Duration
    short: Duration
    severity: Severity


class Told(_Strict):
    """What whoever is told reads."""

    alert: str
    summary: str
    impact: str
    runbook: str


class Objective(Told):
    """A part of all that must be good; `$window` in its expressions stands for a window."""

    name: str
    objective: Annotated[float, Field(gt=0, lt=1)]
    all: str
    bad: str


class Fault(Told):
    """A value beyond a bound for a while."""

    record: str
    value: str
    above: float | None = None
    below: float | None = None
    unless: str | None = None
    lasting: Annotated[Duration, Field(alias="for")]
    severity: Severity

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("either above or below")
        return self


class Promises(_Strict):
    """The whole file."""

    job: str
    runbooks: str
    dashboard: str
    windows: tuple[Window, ...]
    least: float
    objectives: tuple[Objective, ...]
    faults: tuple[Fault, ...]


def read(path: Path) -> Promises:
    """The file at `path`. Raises ValidationError with what is wrong in it."""
    return Promises.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
