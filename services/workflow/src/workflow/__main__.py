"""`python -m workflow --role api|worker|relay|timers|all`."""

from chassis.app import run
from workflow.main import SERVICE, Settings

run(SERVICE, Settings)
