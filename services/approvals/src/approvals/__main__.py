"""Start one role of approvals: `python -m approvals --role api|worker|relay|timers|all`."""

from approvals.main import SERVICE, Settings
from chassis.app import run

run(SERVICE, Settings)
