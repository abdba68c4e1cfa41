"""`python -m notifications --role api|worker|relay|timers|sender|all`."""

from chassis.app import run
from notifications.main import SERVICE, Settings

run(SERVICE, Settings)
