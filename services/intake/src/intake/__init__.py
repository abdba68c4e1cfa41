"""The front door: contacts, organisations and submissions."""
