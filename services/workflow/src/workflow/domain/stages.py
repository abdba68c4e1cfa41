"""Where a request stands in its queue, and where it may go from there."""

from workflow.domain.records import Definition, Stage

NEW, IN_PROGRESS, CLOSED = "new", "in-progress", "closed"


def named(definition: Definition, name: str) -> Stage | None:
    """The stage of this name."""
    return next((stage for stage in definition.stages if stage.name == name), None)


def after(definition: Definition, name: str) -> Stage | None:
    """The next stage in order, Closed included; None after Closed."""
    at = _index(definition, name) + 1
    return definition.stages[at] if at < len(definition.stages) else None


def before(definition: Definition, name: str) -> Stage | None:
    """The stage before, or None for New."""
    at = _index(definition, name) - 1
    return definition.stages[at] if at >= 0 else None


def first(definition: Definition) -> Stage:
    """New."""
    return definition.stages[0]


def closed(definition: Definition) -> Stage:
    """Closed."""
    return definition.stages[-1]


def last_working(definition: Definition) -> Stage:
    """The stage that a request is resolved from."""
    return definition.stages[-2]


def _index(definition: Definition, name: str) -> int:
    return next(at for at, stage in enumerate(definition.stages) if stage.name == name)
