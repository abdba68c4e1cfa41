"""Start one role of intake: `python -m intake --role api|worker|relay|timers|all`."""

from chassis.app import run
from intake.main import SERVICE, Settings

run(SERVICE, Settings)
