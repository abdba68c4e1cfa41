"""The one command that mends what had no effect, as operators type it: over HTTP and by `throughline` alike. Pure."""

from uuid import UUID

LOOK_AROUND = "throughline doctor"


def retry(request: UUID | str) -> str:
    """Tries at once what waits for a request, wherever it waits."""
    return f"throughline waiting retry {request}"


def redeliver(service: str, letter: int) -> str:
    """Lets a dead letter that is a fact be decided after all."""
    return f"throughline waiting redeliver {service} {letter} --reason reconciled"


def put_away(service: str, letter: int) -> str:
    """Puts away a dead letter that cannot be decided here: whoever sent it has to send it again."""
    return f"throughline waiting resolve {service} {letter} --reason reconciled"


def resend(service: str, request: UUID | str) -> str:
    """Asks the other services for what one has missed of a request."""
    return f"throughline resend {service} {request}"


def start(service: str, role: str) -> str:
    """Starts a process that is missing."""
    return f"python -m {service} --role {role}"


def said(reason: str, detail: str) -> str:
    """Why a message waits or is dead, in one line."""
    return f"{reason} ({detail})" if detail else reason
