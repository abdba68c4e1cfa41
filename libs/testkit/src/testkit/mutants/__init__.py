"""Bugs planted into copies of the code, one at a time: tests that do not see them prove nothing."""
