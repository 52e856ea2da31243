"""
Random schemas and rows survive a round trip, whatever the chunk size, the connections and the codec.

`pytest --hypothesis-seed=random` draws other ones; a failure prints the schema's statements.
"""

import itertools
import uuid

import pytest
from hypothesis import given, note, strategies as st

from app.domain.backups.manifest import Codec
from tests.fixtures.backstay import Backstay
from tests.fixtures.faker import schemas
from tests.fixtures.series import PATIENT_SECONDS, drawn, series
from tests.fixtures.servers import Sql


# About a second for ten of them, three times that where the outside judges look too.
EXAMPLES = series(8, 500)
# The vendor's programs take longer than the round trip itself.
JUDGED_EVERY = 6


NUMBERS = itertools.count()
OPTIONS = st.fixed_dictionaries({
    "chunk_bytes": st.sampled_from([1, 40, 200, 1000, 1 << 20]),
    "threads": st.integers(1, 4),
    "codec": st.sampled_from(list(Codec)),
})


@pytest.mark.long
@pytest.mark.timeout(PATIENT_SECONDS)
@drawn(EXAMPLES)
@given(schema=schemas(), options=OPTIONS)
async def test_random_schemas_come_back(schema, options, server, tmp_path):
    """What was created comes back, in the eyes of the oracle, and of the vendor's dump program."""
    judged = next(NUMBERS) % JUDGED_EVERY == 0
    name = f"r_{uuid.uuid4().hex[:12]}"
    statements = schema.statements()
    note(";\n".join(statements))
    backstay = Backstay(server.url, tmp_path / name)
    with Sql(server.url) as sql:
        sql.script([f"CREATE DATABASE {name} CHARACTER SET utf8mb4", f"USE {name}"])
        try:
            sql.script(statements)
            await backstay.round_trip(
                name,
                # Rows larger than a chunk stand behind the others afterwards, where there is no key.
                judge=judged and options["chunk_bytes"] > 1000,
                plain=judged and options["codec"] is Codec.GZIP,
                **options,
            )
        finally:
            sql.run(f"DROP DATABASE {name}")
            await backstay.close()
