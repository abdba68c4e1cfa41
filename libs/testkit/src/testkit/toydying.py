"""`python -m testkit.toydying --role dying`: the toy service with a role that fails."""

from dataclasses import replace

from chassis.app import run
from chassis.service import Runtime
from testkit.toyservice import SERVICE, ToySettings


async def dying(runtime: Runtime) -> None:
    """Fail as a fault of ours would."""
    raise ZeroDivisionError("planted")


if __name__ == "__main__":
    run(replace(SERVICE, roles={"dying": dying}), ToySettings)
