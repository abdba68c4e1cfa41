"""Start one role of billing: `python -m billing --role api|worker|relay|timers|all`."""

from billing.main import SERVICE, Settings
from chassis.app import run

run(SERVICE, Settings)
