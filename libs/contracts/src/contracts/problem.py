"""A refusal, said the same way over HTTP and on a results topic (RFC 9457)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict


class FieldError(BaseModel):
    """What is wrong with one field."""

    model_config = ConfigDict(frozen=True, extra="allow")

    pointer: str
    """JSON Pointer into the body."""
    detail: str


class Problem(BaseModel):
    """Why something was refused. `type` ends with the refusal's slug; further members carry its facts."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    type: str = "about:blank"
    title: str
    status: Annotated[int, Strict(), Field(ge=400, le=599)]
    detail: str | None = None
    instance: str | None = None
    errors: tuple[FieldError, ...] | None = None
