"""The mapping of an existing system's log: which column is what, and what a status means here."""

from collections.abc import Iterator
from collections.abc import Mapping as Dict
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from cli.importing import lines
from contracts.catalogue import QueueShape
from contracts.fields import Name, Slug

JOINED = " / "
FIELDS = ("contact", "queue", "summary", "description", "impact", "urgency", "priority", "category", "team", "owner")


class WrongMapping(Exception):
    """The mapping cannot be used; every problem with its line."""

    def __init__(self, name: str, problems: list[str]) -> None:
        super().__init__("\n".join(f"{name}:{problem}" for problem in problems))
        self.problems = problems


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _shorthand(value: Any) -> Any:
    if isinstance(value, str):
        return {"columns": [value]}
    if isinstance(value, list):
        return {"columns": value}
    if isinstance(value, dict) and isinstance(value.get("column"), str) and "columns" not in value:
        return {**{name: kept for name, kept in value.items() if name != "column"}, "columns": [value["column"]]}
    return value


class Source(_Strict):
    """Where a field comes from: a column, several joined, or one value for all; translated by `values` if given."""

    columns: tuple[str, ...] = ()
    value: str | None = None
    values: dict[str, str] | None = None
    """What the log says → what is meant. A value that is missing here makes the row unreadable."""
    nobody: tuple[str, ...] = ()
    """What the log says when it names nobody."""

    @model_validator(mode="after")
    def _one_source(self) -> "Source":
        if bool(self.columns) == (self.value is not None):
            raise ValueError("name a column, several, or a value")
        return self

    def read(self, row: Dict[str, str]) -> str | None:
        """The field of a row, None where it is empty; a KeyError carries a value that is not translated."""
        if self.value is not None:
            return self.value
        parts = [part for part in (row[column].strip() for column in self.columns) if part]
        if not parts or not set(parts).isdisjoint(self.nobody):
            return None
        text = JOINED.join(parts)
        return self.values[text] if self.values is not None else text


From = Annotated[Source, BeforeValidator(_shorthand)]


class Time(_Strict):
    """When a change happened."""

    column: str
    format: str = "iso"
    """`iso` (RFC 3339 and its kin) or a format of strptime."""
    zone: str | None = None
    """The zone of times that have no offset."""

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, name: str | None) -> str | None:
        try:
            ZoneInfo(name or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{name} is no time zone") from None
        return name


class Columns(_Strict):
    """Which column is what."""

    case: str
    time: Annotated[Time, BeforeValidator(lambda value: {"column": value} if isinstance(value, str) else value)]
    status: Annotated[tuple[str, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
    contact: From
    queue: From
    summary: From
    description: From | None = None
    impact: From | None = None
    urgency: From | None = None
    priority: From | None = None
    category: From | None = None
    team: From | None = None
    owner: From | None = None

    def sources(self) -> Iterator[tuple[str, Source]]:
        """The fields that the log fills."""
        for name in FIELDS:
            source = getattr(self, name)
            if source is not None:
                yield name, source

    def named(self) -> Iterator[str]:
        """Every column that is used."""
        yield from (self.case, self.time.column, *self.status)
        for _, source in self.sources():
            yield from source.columns


class Meaning(_Strict):
    """What a status means: a stage, a wait, an end, or nothing.

    `is` names values of the status columns, from the first on; values that it leaves out may be anything.
    """

    status: Annotated[tuple[str, ...], Field(alias="is", min_length=1)]
    stage: Name | None = None
    wait: Name | None = None
    """In that stage, or without one in whichever it is in."""
    close: Literal["resolved", "unresolved", "cancelled"] | None = None
    ignore: bool = False

    @field_validator("status", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_meaning(self) -> "Meaning":
        moves = self.stage is not None or self.wait is not None
        if moves + (self.close is not None) + self.ignore != 1:
            raise ValueError("say one of: stage and/or wait, close, ignore")
        return self

    def fits(self, status: tuple[str, ...]) -> bool:
        """Whether a row's status values are meant."""
        return status[: len(self.status)] == self.status


class Mapping(_Strict):
    """A whole mapping."""

    source: Slug
    """A short name of the existing system. People, teams and contacts are recognised by it and their name."""
    columns: Columns
    statuses: Annotated[tuple[Meaning, ...], Field(min_length=1)]
    reopen_reason: str = "taken up again"
    queues: tuple[QueueShape, ...] = ()
    """Queues that the import drafts and publishes first; others must be there already."""

    def meaning(self, status: tuple[str, ...]) -> Meaning | None:
        """The first meaning that fits, or None."""
        return next((meaning for meaning in self.statuses if meaning.fits(status)), None)

    def problems(self) -> Iterator[tuple[lines.Path, str]]:
        """What does not fit together, by path."""
        stages = {stage.name for queue in self.queues for stage in queue.stages if stage.state != "closed"}
        reasons = {reason.name for queue in self.queues for reason in queue.reasons}
        width = len(self.columns.status)
        for n, meaning in enumerate(self.statuses):
            if len(meaning.status) > width:
                yield ("statuses", n, "is"), f"names {len(meaning.status)} values, but there are {width} status columns"
            if self.queues and meaning.stage is not None and meaning.stage not in stages:
                yield ("statuses", n, "stage"), f"{meaning.stage} is no open stage of a queue below"
            if self.queues and meaning.wait is not None and meaning.wait not in reasons:
                yield ("statuses", n, "wait"), f"{meaning.wait} is no reason to wait of a queue below"
            if any(earlier.fits(meaning.status) for earlier in self.statuses[:n]):
                yield ("statuses", n, "is"), "an earlier line means this already"


def read(path: Path) -> Mapping:
    """The mapping in a file; raises WrongMapping, which names every problem with its line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongMapping(path.name, [f"1: it cannot be read ({type(error).__name__})"]) from None
    return parse(text, path.name)


def parse(text: str, name: str = "mapping") -> Mapping:
    """The mapping in a text."""
    try:
        values, at = lines.load(text)
    except lines.WrongYaml as wrong:
        raise WrongMapping(name, [str(wrong)]) from None
    try:
        found = Mapping.model_validate(values)
    except ValidationError as error:
        raise WrongMapping(name, sorted({_problem(each, at) for each in error.errors()}, key=_line)) from None
    problems = [f"{lines.line_of(at, where)}: {_path(where)}: {what}" for where, what in found.problems()]
    if problems:
        raise WrongMapping(name, problems)
    return found


def _problem(error: Any, at: dict[lines.Path, int]) -> str:
    where = tuple(error["loc"])
    message = error["msg"]
    ours = message.removeprefix("Value error, ")
    said = ours if ours != message else message[0].lower() + message[1:]
    return f"{lines.line_of(at, where)}: {_path(where) or 'mapping'}: {said}"


def _path(where: lines.Path) -> str:
    return ".".join(str(each) for each in where)


def _line(problem: str) -> int:
    return int(problem.split(":", 1)[0])
