"""`python -m testkit.toymain --role …`: the toy service as a process."""

from chassis.app import run
from testkit.toyservice import SERVICE, ToySettings

if __name__ == "__main__":
    run(SERVICE, ToySettings)
