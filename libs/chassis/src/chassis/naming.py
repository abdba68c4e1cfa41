"""Names of an installation's things on shared servers: its prefix before topics, groups and sources."""


def topic(prefix: str, name: str) -> str:
    """A topic's name at the broker."""
    return f"{prefix}.{name}" if prefix else name


def plain(prefix: str, name: str) -> str:
    """A topic's name in the contract, from its name at the broker."""
    return name.removeprefix(f"{prefix}.") if prefix else name


def group(prefix: str, service: str) -> str:
    """A service's consumer group."""
    return f"{prefix}.{service}" if prefix else service


def source(prefix: str, service: str) -> str:
    """A service's `ce_source`."""
    return f"/{prefix or 'throughline'}/{service}"
