"""The toy service's schema."""
