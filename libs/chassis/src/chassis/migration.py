"""Alembic for one schema: the environment every service shares, and the tables that every schema has alike.

The statements of `install` are frozen: a later change of a chassis table is a new function with its own number.
"""

import asyncio
import re
from typing import Any

from alembic import context
from sqlalchemy import Connection, MetaData, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from chassis.tables import aggregate_columns

__all__ = ["aggregate_columns", "install", "run_env"]

GROUPS = 64
"""Sequences made at install: the most partitions that a topic of an installation can have."""

_JOURNAL = """
CREATE TABLE journal (
    grp smallint NOT NULL, seq bigint NOT NULL, recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event_id uuid NOT NULL, topic text, type text NOT NULL, version smallint NOT NULL, key text NOT NULL,
    subject uuid NOT NULL, sequence bigint, occurred_at timestamptz NOT NULL, actor json, correlation_id uuid,
    causation_id uuid, hop smallint, traceparent text, command json, persons uuid[], data json, personal json,
    private json, PRIMARY KEY (grp, seq, recorded_at)
) PARTITION BY RANGE (recorded_at);
CREATE INDEX journal_subject ON journal (subject, seq);
CREATE INDEX journal_persons ON journal USING gin (persons) WHERE persons IS NOT NULL;
CREATE TABLE journal_default PARTITION OF journal DEFAULT;

CREATE FUNCTION journal_partition(month date) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'journal_' || to_char(first, 'YYYY_MM');
    home text := (SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = 'journal_default'::regclass);
BEGIN
    IF to_regclass(home || '.' || name) IS NULL THEN
        EXECUTE format('CREATE TABLE %s.%I PARTITION OF %s.journal FOR VALUES FROM (%L) TO (%L)',
                       home, name, home, first, (first + interval '1 month')::date);
    END IF;
    RETURN name;
END $$;
CREATE FUNCTION journal_partition_drop(month date) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    name text := 'journal_' || to_char(date_trunc('month', month), 'YYYY_MM');
    home text := (SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = 'journal_default'::regclass);
BEGIN
    IF date_trunc('month', month) >= date_trunc('month', now()) OR to_regclass(home || '.' || name) IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE %s.%I', home, name);
    RETURN true;
END $$;
"""

_REST = """
CREATE TABLE relay (
    id smallint PRIMARY KEY CHECK (id = 0), epoch bigint NOT NULL DEFAULT 0, holder text, lease_until timestamptz
);
INSERT INTO relay (id) VALUES (0);
CREATE TABLE relay_cursor (
    grp smallint PRIMARY KEY, high bigint NOT NULL DEFAULT 0, holes bigint[] NOT NULL DEFAULT '{}',
    hole_xmax text[] NOT NULL DEFAULT '{}', epoch bigint NOT NULL DEFAULT 0
);
CREATE TABLE waiting (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, aggregate text NOT NULL, subject uuid NOT NULL,
    stream text, sequence bigint, event_id uuid NOT NULL, kind text NOT NULL, message json, headers json,
    record bytea, envelope json NOT NULL, reason text NOT NULL, detail text NOT NULL DEFAULT '',
    attempts integer NOT NULL DEFAULT 0, next_at timestamptz, first_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX waiting_once ON waiting (subject, event_id, kind);
CREATE INDEX waiting_due ON waiting (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE wake (subject uuid PRIMARY KEY, aggregate text NOT NULL, at timestamptz NOT NULL);
CREATE INDEX wake_at ON wake (at);
CREATE TABLE claims (claim text PRIMARY KEY, subject uuid NOT NULL);
CREATE TABLE series (name text PRIMARY KEY, last bigint NOT NULL);
CREATE TABLE message_ids (
    id uuid NOT NULL, hash bytea, subject uuid NOT NULL, refused json, answer json, edit_version bigint NOT NULL,
    sequence bigint NOT NULL, kept_until timestamptz NOT NULL, PRIMARY KEY (id)
) PARTITION BY HASH (id);
CREATE INDEX message_ids_old ON message_ids (kept_until);
CREATE INDEX message_ids_subject ON message_ids (subject);
CREATE TABLE documents (
    kind text NOT NULL, id text NOT NULL, sequence bigint NOT NULL, doc json,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(), erased_at timestamptz, PRIMARY KEY (kind, id)
);
CREATE INDEX documents_changed ON documents (changed_at);
CREATE INDEX documents_to_erase ON documents (kind, id) WHERE doc IS NULL AND erased_at IS NULL;
CREATE INDEX documents_erased ON documents (changed_at) WHERE doc IS NULL;
CREATE INDEX documents_login ON documents (kind, (doc ->> 'login')) WHERE doc ->> 'login' IS NOT NULL;
CREATE TABLE dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, reason text NOT NULL, detail text NOT NULL, topic text,
    partition integer, kafka_offset bigint, key bytea, headers json, value bytea, subject uuid,
    first_at timestamptz NOT NULL DEFAULT clock_timestamp(), resolved_at timestamptz, resolution text
);
CREATE UNIQUE INDEX dead_letters_once ON dead_letters (topic, partition, kafka_offset);
CREATE TABLE asks_sent (
    subject uuid NOT NULL, topic text NOT NULL, asked_at timestamptz NOT NULL, PRIMARY KEY (subject, topic)
);
CREATE TABLE clients (
    name text PRIMARY KEY, scopes text[] NOT NULL DEFAULT '{}', may_act_for_others boolean NOT NULL DEFAULT false,
    active boolean NOT NULL DEFAULT true, changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""


def install(op: Any) -> None:
    """Create the tables that the chassis needs in a schema, as of release 0.1."""
    for statements in (_JOURNAL, _REST):
        for statement in re.split(r";\n+(?=CREATE |INSERT )", statements.strip().removesuffix(";")):
            op.execute(statement)
    for group in range(GROUPS):
        op.execute(f"CREATE SEQUENCE journal_seq_{group} CACHE 1")
    for slot in range(8):
        op.execute(
            f"CREATE TABLE message_ids_{slot} PARTITION OF message_ids FOR VALUES WITH (MODULUS 8, REMAINDER {slot})"
        )
    op.execute("SELECT journal_partition(current_date), journal_partition((current_date + interval '1 month')::date)")


def _run(connection: Connection, metadata: MetaData, schema: str) -> None:
    connection.execute(text("SELECT pg_advisory_lock(hashtext(:schema))"), {"schema": schema})
    connection.execute(text(f'SET search_path TO "{schema}"'))
    connection.execute(text("SET lock_timeout TO '4s'"))
    connection.commit()
    context.configure(
        connection=connection, target_metadata=metadata, version_table_schema=schema, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


async def _run_async(metadata: MetaData) -> None:
    options = context.config.attributes
    engine = create_async_engine(options["url"], poolclass=pool.NullPool)
    async with engine.connect() as connection:
        if options.get("role"):
            await connection.execute(text(f'SET ROLE "{options["role"]}"'))
        await connection.run_sync(_run, metadata, options["schema"])
    await engine.dispose()


def run_env(metadata: MetaData) -> None:
    """What a service's `migrations/env.py` does: migrate one schema, alone, under lock timeouts.

    `config.attributes` brings `url` (asyncpg form), `schema` and, if the owner is not the login, `role`.
    """
    asyncio.run(_run_async(metadata))
