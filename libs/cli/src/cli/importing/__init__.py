"""Moving in: an existing system's log played through the inbound topics in history mode."""

from cli.importing.exchange import NotReady, Target
from cli.importing.log import WrongLog
from cli.importing.mapping import WrongMapping
from cli.importing.run import run

__all__ = ["NotReady", "Target", "WrongLog", "WrongMapping", "run"]
