"""The sample organisation: a regional network operator with three queues, its staff, customers and prices."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

NAMESPACE = UUID("7d0c8a52-6f0b-5d53-9b1c-2f5b5a0d4e11")


def identity(name: str) -> UUID:
    """The id of a person, team or contact of the sample: the same in every run."""
    return uuid5(NAMESPACE, name)


@dataclass(frozen=True)
class Somebody:
    """A person of the staff or a contact, and the token subject under which they call."""

    login: str
    name: str

    @property
    def id(self) -> UUID:
        return identity(self.login)

    @property
    def email(self) -> str:
        return f"{self.login}@example.net"


TEAMS = {"desk": "Service desk", "field": "Field technicians", "accounts": "Customer accounts"}

AGENTS = tuple(
    Somebody(login, name)
    for login, name in (
        ("ines.ferreira", "Inês Ferreira"),
        ("marek.nowak", "Marek Nowak"),
        ("asha.pillai", "Asha Pillai"),
        ("tom.lindqvist", "Tom Lindqvist"),
        ("yara.haddad", "Yara Haddad"),
        ("pedro.salas", "Pedro Salas"),
    )
)
APPROVERS = (Somebody("greta.baum", "Greta Baum"), Somebody("owen.price", "Owen Price"))
ADMIN = Somebody("lucia.rossi", "Lucia Rossi")

_FIRST = ("Anna", "Bilal", "Chiara", "Dmitri", "Esi", "Farid", "Gwen", "Hugo", "Ida", "Jonas")
_LAST = ("Keller", "Lopes", "Moreau", "Nilsson")
CONTACTS = tuple(Somebody(f"{first}.{last}".lower(), f"{first} {last}") for last in _LAST for first in _FIRST)
ORGANISATIONS = {"harbour": "Harbour Logistics", "alpine": "Alpine Clinics", "midtown": "Midtown Schools"}


def organisation_of(contact: Somebody) -> UUID:
    """The organisation that a contact belongs to: they take turns."""
    names = list(ORGANISATIONS)
    return identity(f"organisation:{names[CONTACTS.index(contact) % len(names)]}")


MATRIX = {
    "high": {"high": "critical", "medium": "high", "low": "medium"},
    "medium": {"high": "high", "medium": "medium", "low": "low"},
    "low": {"high": "medium", "medium": "low", "low": "low"},
}
_MINUTES = {"critical": 60, "high": 240, "medium": 480, "low": 1440}
REASONS = [
    {"name": "customer", "pauses": True, "waiting_for": "customer"},
    {"name": "supplier", "pauses": True, "waiting_for": "vendor"},
    {"name": "change-window", "pauses": False, "waiting_for": "other"},
]

TEAM_OF = {"outage": "team:desk", "change": "team:field", "billing": "team:accounts"}


def queues() -> list[dict[str, Any]]:
    """Bodies of `DraftQueue`, one a queue."""
    gate = {
        "policy": {"kind": "any"},
        "approvers": [str(person.id) for person in APPROVERS],
        "due_minutes": 60,
    }
    return [
        _queue("outage", "Faults and outages", ["Triage", "Repair", "Verify"], reopen_days=7),
        _queue("change", "Service changes", ["Assess", "Install"], gates={"Assess": gate}),
        _queue("billing", "Billing questions", ["Answer"], early_resolve=True),
    ]


def _queue(
    name: str,
    title: str,
    between: list[str],
    *,
    gates: dict[str, Any] | None = None,
    early_resolve: bool = False,
    reopen_days: int = 0,
) -> dict[str, Any]:
    stages: list[dict[str, Any]] = [{"name": "New", "state": "new"}]
    stages += [{"name": stage, "state": "in-progress"} for stage in between]
    stages += [{"name": "Closed", "state": "closed"}]
    for stage in stages:
        if gates and stage["name"] in gates:
            stage["approval"] = gates[stage["name"]]
    return {
        "queue": name,
        "name": title,
        "stages": stages,
        "completion_minutes": _MINUTES,
        "matrix": MATRIX,
        "reasons": REASONS,
        "early_resolve": early_resolve,
        "reopen_days": reopen_days,
        "team_id": str(identity(TEAM_OF[name])),
    }


STAGES = {queue["queue"]: [stage["name"] for stage in queue["stages"]] for queue in queues()}


def price_book() -> dict[str, Any]:
    """Body of `SetPriceBook`."""
    rows = (
        ("VISIT", "Technician on site", "fee", "79.00"),
        ("ROUTER-X", "Router, model X", "product", "129.90"),
        ("CABLE-10", "Patch cable, 10 m", "product", "9.99"),
        ("SETUP", "Line set-up", "fee", "49.50"),
    )
    return {
        "currency": "EUR",
        "entries": [
            {
                "sku": sku,
                "description": description,
                "kind": kind,
                "unit_price": {"amount": amount, "currency": "EUR"},
                "tax_rate": "0.19",
            }
            for sku, description, kind, amount in rows
        ],
    }


SKUS = tuple(entry["sku"] for entry in price_book()["entries"])
