"""What can go wrong before an embedded server serves."""


class NotAvailable(Exception):
    """A part that an embedded server is made of cannot be had here."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}. Running servers do instead: set KAFKA_BOOTSTRAP and DATABASE_URL, or use `docker compose up`."
        )


class NotStarted(Exception):
    """A server ended, or was not ready in time, while it was being started."""

    def __init__(self, what: str, log: str) -> None:
        super().__init__(f"{what}\n{log}".rstrip())
