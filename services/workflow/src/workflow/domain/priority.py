"""Priority: an explicit value, else the queue's default, else the matrix of urgency and impact."""

from workflow.domain.records import Definition

LEVELS = ("low", "medium", "high", "critical")
MEDIUM = "medium"
_BY_SUM = ("low", "low", "medium", "high", "critical", "critical", "critical")


def from_matrix(definition: Definition, urgency: str, impact: str) -> str:
    """The queue's own entry, else the system's filling."""
    return definition.matrix.get(urgency, {}).get(impact) or filling(urgency, impact)


def knows(definition: Definition, name: str) -> bool:
    """Whether it is one of the standard ones or of those that the queue names."""
    named = {*LEVELS, *definition.completion_minutes, definition.default_priority}
    return name in named or any(name in row.values() for row in definition.matrix.values())


def at_opening(definition: Definition, explicit: str | None, urgency: str, impact: str) -> str:
    """The priority of a new request."""
    return explicit or definition.default_priority or from_matrix(definition, urgency, impact)


def filling(urgency: str, impact: str) -> str:
    """The priority of a combination that nobody defined; a level that is not one of ours counts as medium."""
    return _BY_SUM[_level(urgency) + _level(impact)]


def filled(matrix: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """The matrix with every undefined combination of the standard levels filled."""
    rows = {urgency: {impact: filling(urgency, impact) for impact in LEVELS} for urgency in LEVELS}
    for urgency, row in matrix.items():
        rows[urgency] = {**rows.get(urgency, {}), **row}
    return rows


def _level(name: str) -> int:
    return LEVELS.index(name) if name in LEVELS else LEVELS.index(MEDIUM)
