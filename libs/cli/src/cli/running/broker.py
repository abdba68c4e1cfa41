"""A broker made ready for an installation: its topics, and what looks after its consumer groups."""

import asyncio
import contextlib

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError

from chassis.topics import Topics

_COORDINATED_WITHIN = 20.0


async def prepare(bootstrap: str, prefix: str, partitions: int) -> None:
    """Return when topics are made and groups can be joined. Raises WrongTopics."""
    await asyncio.gather(Topics(prefix, partitions, bootstrap_servers=bootstrap).apply(), _coordinated(bootstrap))


async def _coordinated(bootstrap: str) -> None:
    """A new broker makes a topic of its own for consumer groups, once it is asked who looks after them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        async with asyncio.timeout(_COORDINATED_WITHIN):
            while True:
                with contextlib.suppress(GroupCoordinatorNotAvailableError, GroupLoadInProgressError):
                    await admin.find_coordinator("any")
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        return  # the services wait for it, too
    finally:
        await admin.close()
