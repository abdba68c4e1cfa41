"""How this service's facts are written to the journal and told on `billing.accounts`."""

from billing.domain import facts, prices
from chassis.journal import Codec
from contracts import billing

ACCOUNTS = Codec()
ACCOUNTS.told(facts.ChargeLogged, billing.ChargeLogged)
ACCOUNTS.told(facts.ChargeRemoved, billing.ChargeRemoved)
ACCOUNTS.told(facts.InvoiceIssued, billing.InvoiceIssued)
ACCOUNTS.told(facts.InvoiceDrafted, billing.InvoiceDrafted)
ACCOUNTS.told(facts.NothingToBill, billing.NothingToBill)
ACCOUNTS.told(facts.CreditNoteIssued, billing.CreditNoteIssued)
ACCOUNTS.noted(facts.AccountOpened, "billing.account-opened")
ACCOUNTS.noted(facts.AccountReopened, "billing.account-reopened")

PRICES = Codec()
PRICES.noted(prices.PriceBookSet, "billing.price-book-set")
