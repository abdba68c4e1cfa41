"""What this service reads beyond the common settings: nothing so far."""

from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Read once, at the start. A wrong value stops the start."""
