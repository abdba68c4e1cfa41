"""Facts told again: what a service has told stands in its journal anew, so that its relay publishes it once more.

Those who hear it know it already and drop it, as after a failed send: messages in any number from few requests.
"""

import asyncpg

from bench.site import Site

_COLUMNS = (
    "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = $1::text::regclass "
    "AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('seq', 'recorded_at')"
)
_AGAIN = """
INSERT INTO {schema}.journal (seq, {columns})
SELECT nextval(('{schema}.journal_seq_' || grp)::regclass), {columns}
FROM (SELECT * FROM {schema}.journal WHERE topic = $1 ORDER BY recorded_at DESC LIMIT 2000) one,
  generate_series(1, 1 + $2 / 2000) LIMIT $2
"""


async def repeat(site: Site, topic: str, count: int) -> int:
    """Write the last facts of a topic so many times more, whichever they are; how many that were."""
    schema = topic.partition(".")[0]
    connection = await asyncpg.connect(site.admin_url, command_timeout=120)
    try:
        columns = await connection.fetchval(_COLUMNS, f"{schema}.journal")
        told = await connection.execute(_AGAIN.format(schema=schema, columns=columns), topic, count)
        return int(told.split()[-1])
    finally:
        await connection.close()
