"""After an exchange the table is as it was, but for its rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from connections.sdk.parameters import ConnectionParameters
from runs.engine.events import MethodChosen
from runs.engine.plan import FullPublish
from tests.harness.bench import Bench
from tests.harness.kept_sessions import close_sessions

pytestmark = pytest.mark.usefixtures("transfer_in_process")
FACTS = Path(__file__).with_name("definition.sql").read_text()
QUERY = "SELECT n AS id, 'new' || n AS \"V (%)\", int4range(n, n + 1) AS r FROM generate_series(1, 3) n"
TABLE = (
    "CREATE SCHEMA sync",
    "CREATE SCHEMA other",
    "CREATE TYPE other.state AS ENUM ('a', 'b')",
    "CREATE DOMAIN other.positive AS int CHECK (VALUE > 0)",
    "CREATE SEQUENCE other.numbers",
    'CREATE TABLE other.parent (k int PRIMARY KEY, "w REFERENCES (" text)',
    "INSERT INTO other.parent SELECT generate_series(1, 9)",
    """CREATE TABLE sync.t (
      gone int, id other.positive, "V (%)" text COMPRESSION pglz COLLATE "C" NOT NULL, r int4range,
      number bigint DEFAULT nextval('other.numbers'), state other.state DEFAULT 'b', self int, parent int,
      double int GENERATED ALWAYS AS (self * 2) STORED, at timestamptz(3) DEFAULT now(), "a%s" int[],
      CONSTRAINT "Key %s" PRIMARY KEY (id) INCLUDE (state) WITH (fillfactor = 60),
      CONSTRAINT "an FK" FOREIGN KEY (parent) REFERENCES other.parent ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
      CONSTRAINT itself FOREIGN KEY (self) REFERENCES sync.t ON UPDATE CASCADE,
      CONSTRAINT later UNIQUE ("V (%)") DEFERRABLE, CONSTRAINT apart EXCLUDE USING gist (r WITH &&) WHERE (id > 0),
      CONSTRAINT small CHECK (id < 1000) NO INHERIT
    ) WITH (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_vacuum_threshold = 7)""",
    "ALTER TABLE sync.t DROP gone",
    "ALTER TABLE sync.t ADD CONSTRAINT unchecked CHECK (id < 2000) NOT VALID",
    "ALTER TABLE sync.t ADD CONSTRAINT unchecked_key FOREIGN KEY (id) REFERENCES other.parent NOT VALID",
    'ALTER TABLE sync.t ALTER "V (%)" SET STORAGE EXTERNAL, ALTER "V (%)" SET STATISTICS 77',
    "ALTER TABLE sync.t ALTER id SET (n_distinct = -0.5)",
    'CREATE INDEX "an index (%)" ON sync.t (lower("V (%)") text_pattern_ops DESC, id) WHERE "V (%)" <> \' USING (\'',
    'ALTER INDEX sync."an index (%)" ALTER COLUMN 1 SET STATISTICS 55',
    'CREATE UNIQUE INDEX "the same" ON sync.t (id, number) NULLS NOT DISTINCT',
    "CREATE INDEX hashed ON sync.t USING hash (state)",
    'CREATE INDEX "in arrays" ON sync.t USING gin ("a%s") WITH (fastupdate = off)',
    'ALTER TABLE sync.t CLUSTER ON "Key %s"',
    'ALTER TABLE sync.t REPLICA IDENTITY USING INDEX "Key %s"',
    'CREATE STATISTICS other."of (t) FROM x" (mcv) ON (id + 1), "V (%)" FROM sync.t',
    'ALTER STATISTICS other."of (t) FROM x" SET STATISTICS 44',
    "CREATE STATISTICS sync.plain ON id, state FROM sync.t",
    "COMMENT ON TABLE sync.t IS 'the %s \\ table''s'",
    "COMMENT ON COLUMN sync.t.\"V (%)\" IS '100 %'",
    "COMMENT ON CONSTRAINT small ON sync.t IS 'checked'",
    "COMMENT ON CONSTRAINT unchecked ON sync.t IS 'not checked'",
    "COMMENT ON CONSTRAINT \"Key %s\" ON sync.t IS 'key'",
    "COMMENT ON CONSTRAINT itself ON sync.t IS 'self'",
    "COMMENT ON INDEX sync.hashed IS 'hash'",
    "COMMENT ON STATISTICS sync.plain IS 'statistics'",
    "GRANT SELECT ON sync.t TO pg_monitor WITH GRANT OPTION",
    "GRANT INSERT, DELETE ON sync.t TO PUBLIC",
    'GRANT UPDATE ("V (%)") ON sync.t TO pg_monitor',
    "REVOKE TRIGGER ON sync.t FROM CURRENT_USER",
)
SINCE_18 = (
    "ALTER TABLE sync.t ADD virtual int GENERATED ALWAYS AS (self + 1) VIRTUAL",
    "ALTER TABLE sync.t ADD CONSTRAINT unenforced CHECK (id > 7) NOT ENFORCED",
    'ALTER TABLE sync.t ADD CONSTRAINT "not NULL %" NOT NULL at',
    "COMMENT ON CONSTRAINT \"not NULL %\" ON sync.t IS 'named'",
    "ALTER TABLE sync.t ADD CONSTRAINT null_unchecked NOT NULL number NOT VALID",
    "ALTER TABLE sync.t ADD period int4range DEFAULT '[1,2)', ADD CONSTRAINT once UNIQUE (r, period WITHOUT OVERLAPS)",
)


def definition(bench: Bench) -> list[tuple[Any, ...]]:
    with psycopg.connect(bench.destination.url) as connection:
        connection.execute("SET search_path = pg_catalog")
        return connection.execute(FACTS).fetchall()


def assert_carried_over(bench: Bench, query: str = QUERY) -> None:
    before = definition(bench)
    table = bench.rows("SELECT 'sync.t'::regclass::oid")
    for _ in range(2):
        # the second run exchanges the table for a twin that replaces the former one
        result = bench.run(bench.plan(query, full_publish=FullPublish.SWAP))
        assert result.last(MethodChosen).method == "swap"
        assert result.warnings == []
        assert bench.rows("SELECT 'sync.t'::regclass::oid") != table
        assert definition(bench) == before
        assert len(bench.rows()) == 3


def test_every_property_of_the_table_is_carried_over(pg_bench: Bench) -> None:
    pg_bench.at_destination(*TABLE, *SINCE_18)
    assert len(definition(pg_bench)) > 40
    assert_carried_over(pg_bench)


def test_an_unlogged_table_remains_unlogged(pg_bench: Bench) -> None:
    pg_bench.at_destination("CREATE SCHEMA sync", "CREATE UNLOGGED TABLE sync.t (id int PRIMARY KEY)")
    assert_carried_over(pg_bench, "SELECT generate_series(1, 3) AS id")


@pytest.fixture
def loader(pg_bench: Bench) -> Iterator[Bench]:
    """The same bench, whose user at the destination is not a superuser and a member of another role."""
    pg_bench.at_destination(
        "CREATE ROLE loader LOGIN",
        "CREATE ROLE owner_of_tables ROLE loader",
        "CREATE SCHEMA sync",
        "CREATE SCHEMA pipekit_staging AUTHORIZATION loader",
        "GRANT ALL ON SCHEMA sync, pipekit_staging TO loader, owner_of_tables",
    )
    parts = urlsplit(pg_bench.destination.url)
    url = urlunsplit(parts._replace(netloc=f"loader@{parts.netloc.rpartition('@')[2]}"))
    with psycopg.connect(pg_bench.destination.url, autocommit=True) as connection:
        host = connection.info.host
        hba = Path(host) / "pg_hba.conf"
        before = hba.read_text()
        hba.write_text(f"local all loader trust\n{before}")
        connection.execute("SELECT pg_reload_conf()")
    try:
        yield Bench(pg_bench.source, ConnectionParameters(kind="postgresql", url=url, name="warehouse"))
    finally:
        close_sessions(url)
        hba.write_text(before)
        pg_bench.at_destination(
            "SELECT pg_reload_conf()",
            "DROP OWNED BY loader, owner_of_tables CASCADE",
            "DROP ROLE loader, owner_of_tables",
        )


def test_the_owner_of_a_table_is_another_role_of_which_the_user_is_a_member(pg_bench: Bench, loader: Bench) -> None:
    pg_bench.at_destination(
        "CREATE TABLE sync.t (id int, v text)",
        "CREATE STATISTICS sync.correlated ON id, v FROM sync.t",
        "GRANT SELECT ON sync.t TO pg_monitor",
        "ALTER STATISTICS sync.correlated OWNER TO owner_of_tables",
        "ALTER TABLE sync.t OWNER TO owner_of_tables",
    )
    assert_carried_over(loader, "SELECT n AS id, 'x' AS v FROM generate_series(1, 3) n")


def test_default_privileges_of_the_user_do_not_reach_the_table(pg_bench: Bench, loader: Bench) -> None:
    pg_bench.at_destination(
        "CREATE TABLE sync.t (id int)",
        "ALTER TABLE sync.t OWNER TO loader",
        "ALTER DEFAULT PRIVILEGES FOR ROLE loader GRANT SELECT ON TABLES TO pg_monitor, PUBLIC",
        "ALTER DEFAULT PRIVILEGES FOR ROLE loader REVOKE TRIGGER ON TABLES FROM loader",
    )
    assert_carried_over(loader, "SELECT generate_series(1, 3) AS id")


@pytest.mark.matrix
def test_every_property_is_carried_over_by_the_version_that_debian_packages(
    icu_server: str, shop: ConnectionParameters
) -> None:
    with psycopg.connect(icu_server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE exchanged")
    url = icu_server.replace("/postgres?", "/exchanged?")
    bench = Bench(shop, ConnectionParameters(kind="postgresql", url=url, name="warehouse"))
    try:
        bench.at_destination(*TABLE)
        assert_carried_over(bench)
    finally:
        close_sessions(url)
        with psycopg.connect(icu_server, autocommit=True) as connection:
            connection.execute("DROP DATABASE exchanged WITH (FORCE)")
