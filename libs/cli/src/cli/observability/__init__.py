"""Alert rules and dashboards, generated from their descriptions in `deploy/observability`."""
