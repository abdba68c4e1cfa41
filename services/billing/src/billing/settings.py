"""What the environment decides for this service."""

from chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """What every service reads; billing needs nothing beyond."""
