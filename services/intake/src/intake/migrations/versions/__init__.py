"""Every revision of this schema."""
