"""The test kit: servers and databases for tests, and ways to wait for what they do."""

from testkit.databases import Database, Databases
from testkit.eventually import eventually

__all__ = ["Database", "Databases", "eventually"]
