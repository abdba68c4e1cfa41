"""Start one role of approvals: `python -m approvals --role api|worker|relay|timers|all`."""

from chassis.app import run

from approvals.main import SERVICE, Settings

run(SERVICE, Settings)
