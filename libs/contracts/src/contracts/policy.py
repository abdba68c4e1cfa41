"""How many of the approvers must agree."""

from typing import Annotated, Self

from pydantic import model_validator

from contracts.base import Part
from contracts.fields import Known, Slug, Version


class Policy(Part):
    """Any one of them, all of them, or at least `k`."""

    kind: Annotated[Slug, Known("any", "all", "k")]
    k: Version | None = None

    @model_validator(mode="after")
    def _k_is_given_when_counted(self) -> Self:
        if (self.kind == "k") != (self.k is not None):
            raise ValueError("k is given exactly when kind is k")
        return self
