"""Why billing does not do what was asked."""

from typing import ClassVar

from chassis.decision import Forbidden, Refused, Unknown


class UnknownRequest(Unknown):
    """Billing has not heard of this request."""

    slug: ClassVar[str] = "unknown-request"


class UnknownLine(Refused):
    """The request has no such open charge line."""

    slug: ClassVar[str] = "unknown-line"
    status: ClassVar[int] = 404


class UnknownInvoice(Refused):
    """The request has no such invoice, or no such draft."""

    slug: ClassVar[str] = "unknown-invoice"
    status: ClassVar[int] = 404


class NoPriceBook(Unknown):
    """No price book has been set yet."""

    slug: ClassVar[str] = "no-price-book"


class UnknownSku(Refused):
    """The price book has no entry of this name."""

    slug: ClassVar[str] = "unknown-sku"
    status: ClassVar[int] = 422


class RequestClosed(Refused):
    """Charges are frozen once the request is closed."""

    slug: ClassVar[str] = "request-closed"


class TooManyLines(Refused):
    """A request carries a limited number of charge lines that are not invoiced yet."""

    slug: ClassVar[str] = "too-many-lines"


class CurrencyDiffers(Refused):
    """An invoice has one currency; the open lines are in another."""

    slug: ClassVar[str] = "currency-differs"


class AlreadyIssued(Refused):
    """The draft has become an invoice before."""

    slug: ClassVar[str] = "already-issued"


class AlreadyCredited(Refused):
    """The invoice has been credited in full before."""

    slug: ClassVar[str] = "already-credited"


class MayNotCharge(Forbidden):
    """Only staff who work on requests log and remove charges."""

    slug: ClassVar[str] = "may-not-charge"


class MayNotOverride(Forbidden):
    """A price of one's own needs the right billing:override."""

    slug: ClassVar[str] = "may-not-override-price"


class MayNotIssue(Forbidden):
    """Only billing staff issue and credit invoices."""

    slug: ClassVar[str] = "may-not-issue"


class MayNotSetPrices(Forbidden):
    """Only billing staff set prices."""

    slug: ClassVar[str] = "may-not-set-prices"
