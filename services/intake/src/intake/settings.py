"""What the environment decides for this service."""

from typing import Self

from pydantic import model_validator

from chassis.settings import ServiceSettings
from intake.domain.numbering import Scheme, checked


class Settings(ServiceSettings):
    """What every service reads, and how request numbers are written."""

    request_number: str = "R-{:06d}"
    """`{:06d}` is the number itself; `{year}`, `{month}` and `{day}` may stand around it. Nothing is renumbered."""
    zone: str = "UTC"
    """The installation's zone, for the dates in numbers: `Europe/Berlin`."""

    @model_validator(mode="after")
    def _numbers_can_be_written(self) -> Self:
        try:
            checked(self.request_number, self.zone)
        except (ValueError, LookupError, OSError) as error:
            raise ValueError(f"request_number or zone cannot serve: {error}") from None
        return self

    @property
    def numbering(self) -> Scheme:
        """The scheme that new requests are numbered by."""
        return checked(self.request_number, self.zone)
