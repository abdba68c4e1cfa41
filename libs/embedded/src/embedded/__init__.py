"""Real Kafka and real PostgreSQL without Docker."""
