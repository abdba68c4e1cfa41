"""What a demo shows: progress while it runs, a table at the end."""

import shutil
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli.console import console


def progress() -> Progress:
    """A bar with rate and time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def table(result: dict[str, Any]) -> Table:
    """The demo's figures, as a person reads them."""
    shown = Table(title="What happened", show_header=False, title_justify="left")
    shown.add_column(style="bold")
    shown.add_column()
    shown.add_row("requests", f"{result['requests']} submitted, {result['opened']} opened")
    for place, n in result["by_queue_and_stage"].items():
        shown.add_row(f"  {place}", str(n))
    shown.add_row("outcomes", _counts(result["by_outcome"]))
    shown.add_row("breaches", str(result["breaches"]))
    shown.add_row("approvals", _counts(result["approvals"]))
    totals = ", ".join(f"{amount} {currency}" for currency, amount in result["invoice_totals"].items())
    shown.add_row("invoices", f"{result['invoices']}, {totals or 'nothing'}")
    shown.add_row("billing", _counts({k.removeprefix("billing."): v for k, v in result["billed"].items()}))
    shown.add_row("mails", f"{result['mails']} accepted, {result['suppressed']} suppressed by choice or address")
    shown.add_row(
        "end to end", f"p50 {result['e2e_p50_ms']} ms, p99 {result['e2e_p99_ms']} ms, accepted to mail planned"
    )
    shown.add_row("took", ", ".join(f"{phase} {seconds} s" for phase, seconds in result["phases"].items()))
    return shown


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items()) or "none"


def remove(directory: Path) -> None:
    """Take a temporary installation's files away."""
    shutil.rmtree(directory, ignore_errors=True)
