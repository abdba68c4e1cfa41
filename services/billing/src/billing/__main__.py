"""Start one role of billing: `python -m billing --role api|worker|relay|timers|all`."""

from chassis.app import run

from billing.main import SERVICE, Settings

run(SERVICE, Settings)
