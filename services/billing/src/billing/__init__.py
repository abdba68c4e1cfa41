"""Charges, invoices and credit notes."""
