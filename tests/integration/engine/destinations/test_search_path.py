"""A table without a schema is, on PostgreSQL, the one that the server means by the search_path of the connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from connections import registry
from connections.sdk.errors import ConfigurationInvalid, LockTimeout, Refused, TableMissing
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName
from runs.engine import events
from runs.engine.destination import Destination
from runs.engine.plan import Strategy
from runs.engine.verify.verify import Options, verify_module
from tests.harness.bench import Bench
from tests.harness.verification import counts, fast_pace

pytestmark = pytest.mark.usefixtures("transfer_in_process")

ORDERS = TableName("", "orders")
QUERY = "SELECT k, v FROM s"


def by_option(warehouse: ConnectionParameters) -> ConnectionParameters:
    return replace(warehouse, options={"session": {"search_path": "app, other"}})


def by_url(warehouse: ConnectionParameters) -> ConnectionParameters:
    return replace(warehouse, url=f"{warehouse.url}&currentSchema=app,other")


def by_role(warehouse: ConnectionParameters) -> ConnectionParameters:
    parts = urlsplit(warehouse.url)
    return replace(warehouse, url=urlunsplit(parts._replace(netloc="of_app@")))


@pytest.fixture
def role(postgresql_server: str, warehouse: ConnectionParameters) -> Iterator[None]:
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute("CREATE ROLE of_app LOGIN SUPERUSER")
        connection.execute("ALTER ROLE of_app SET search_path TO app, other")
    yield
    with psycopg.connect(warehouse.url, autocommit=True) as connection:
        connection.execute("DROP OWNED BY of_app CASCADE")
        connection.execute("DROP ROLE of_app")


@pytest.fixture(params=[by_option, by_url, by_role], ids=["option", "url", "role"])
def app_bench(bench: Bench, role: None, request: pytest.FixtureRequest) -> Bench:
    """SQLite to PostgreSQL, in whose database each of three schemas could have the table `orders`."""
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'a'), (2, 'b')")
    bench.at_destination("CREATE SCHEMA app", "CREATE SCHEMA other")
    return Bench(bench.source, request.param(bench.destination))


@pytest.mark.default_cases(1)
def test_a_new_table_is_created_in_the_current_schema(app_bench: Bench) -> None:
    app_bench.at_destination("CREATE TABLE public.orders (k text, other int)")
    plan = app_bench.plan(QUERY, dest_table=ORDERS, strategy=Strategy.UPSERT, merge_key=("k",))
    app_bench.run(plan)
    app_bench.at_source("UPDATE s SET v = 'c' WHERE k = 2")
    assert app_bench.run(plan).counts == (0, 2, 0)
    assert app_bench.rows("SELECT k, v FROM app.orders ORDER BY k") == [(1, "a"), (2, "c")]
    assert app_bench.rows("SELECT * FROM public.orders") == []
    assert counts(verify_module(plan, Options(pace=fast_pace()))) == (0, 0, 0)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("connect", [by_option, by_url])
def test_a_new_table_beside_one_with_rows_in_the_usual_schema_is_warned_of(
    bench: Bench, connect: Callable[[ConnectionParameters], ConnectionParameters]
) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'a')")
    bench.at_destination("CREATE SCHEMA app", "CREATE TABLE public.orders (k int, v text)")
    app_bench = Bench(bench.source, connect(bench.destination))
    plan = app_bench.plan(QUERY, dest_table=ORDERS)
    # an empty table in public is not one that modules fill
    assert app_bench.run(plan).warnings == []
    app_bench.at_destination("DROP TABLE app.orders", "INSERT INTO public.orders VALUES (1, 'a')")
    assert app_bench.run(plan).warnings == [
        "orders is named without a schema, and the connection's search_path, not public, decides where the new table is"
        " created. The table public.orders, which has rows, is not filled; if it is meant, write dest_table:"
        " public.orders."
    ]
    assert app_bench.rows("SELECT k FROM app.orders") == [(1,)]
    assert app_bench.run(plan).warnings == []


def test_a_table_that_earlier_runs_did_not_fill_is_refused_unless_forced(bench: Bench) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'a'), (2, 'b')")
    bench.at_destination(
        "CREATE SCHEMA app",
        "CREATE TABLE public.orders (k int, v text)",
        "CREATE TABLE app.orders (k int, v text)",
        "INSERT INTO app.orders VALUES (77, 'of the application'), (78, 'of the application')",
    )
    app_bench = Bench(bench.source, by_url(bench.destination))
    plan = app_bench.plan(QUERY, dest_table=ORDERS, former_table=TableName("public", "orders"))
    for refused in (plan, replace(plan, dry_run=True)):
        with pytest.raises(Refused) as caught:
            app_bench.run(refused)
        assert caught.value.message == (
            "orders is now app.orders, by the schema in the URL of the connection; earlier runs of the module filled"
            " public.orders. Nothing was changed."
        )
        assert caught.value.hint == (
            "Write dest_table: public.orders. If app.orders is meant, write that, or run it once with --force."
        )
    assert app_bench.rows("SELECT k FROM app.orders ORDER BY k") == [(77,), (78,)]
    (warning,) = app_bench.run(replace(plan, force=True)).warnings
    assert warning.endswith("app.orders is filled because the run was forced.")
    assert app_bench.rows("SELECT k FROM app.orders ORDER BY k") == [(1,), (2,)]


@pytest.mark.parametrize(
    "statement",
    ["ALTER TABLE public.orders SET SCHEMA app", "CREATE VIEW other.orders AS SELECT 1 AS k"],
    ids=["moved", "the same"],
)
def test_a_table_that_earlier_runs_filled_is_not_refused(bench: Bench, statement: str) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'a')")
    bench.at_destination(
        "CREATE SCHEMA app", "CREATE SCHEMA other", "CREATE TABLE public.orders (k int, v text)", statement
    )
    app_bench = Bench(bench.source, replace(bench.destination, url=f"{bench.destination.url}&currentSchema=app,public"))
    plan = app_bench.plan(QUERY, dest_table=ORDERS, former_table=TableName("public", "orders"))
    assert app_bench.run(plan).warnings == []


def test_a_view_in_the_usual_schema_is_warned_of_too(bench: Bench) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)", "INSERT INTO s VALUES (1, 'a')")
    bench.at_destination(
        "CREATE SCHEMA app",
        "CREATE TABLE public.base (k int, v text)",
        "INSERT INTO public.base VALUES (1, 'a')",
        "CREATE VIEW public.orders AS SELECT * FROM public.base",
    )
    app_bench = Bench(bench.source, by_url(bench.destination))
    (warning,) = app_bench.run(app_bench.plan(QUERY, dest_table=ORDERS)).warnings
    assert warning.endswith("if it is meant, write dest_table: public.orders.")


def test_the_error_of_a_path_without_a_schema_names_the_property(bench: Bench) -> None:
    bench.at_source("CREATE TABLE s (k INTEGER, v TEXT)")
    app_bench = Bench(bench.source, replace(bench.destination, url=f"{bench.destination.url}&currentSchema=missing"))
    with pytest.raises(TableMissing) as caught:
        app_bench.run(app_bench.plan(QUERY, dest_table=ORDERS))
    assert "currentSchema in its URL" in caught.value.hint


@pytest.mark.default_cases(1)
def test_the_first_table_of_the_path_is_filled_with_its_own_types(app_bench: Bench) -> None:
    app_bench.at_destination(
        "CREATE TABLE other.orders (k numeric(9,2) PRIMARY KEY, v varchar(1))", "CREATE TABLE public.orders (k text)"
    )
    plan = app_bench.plan(QUERY, dest_table=ORDERS, strategy=Strategy.INCREMENTAL, merge_key=("k",), watermark="k")
    app_bench.run(plan)
    app_bench.at_source("INSERT INTO s VALUES (3, 'c')")
    app_bench.run(plan)
    assert app_bench.rows("SELECT count(*), sum(k) FROM other.orders") == [(3, 6)]
    assert app_bench.rows("SELECT to_regclass('app.orders')") == [(None,)]
    assert counts(verify_module(plan, Options(pace=fast_pace()))) == (0, 0, 0)


@pytest.mark.default_cases(1)
def test_the_name_of_another_object_in_the_current_schema_is_refused(app_bench: Bench) -> None:
    app_bench.at_destination("CREATE SEQUENCE app.orders")
    with pytest.raises(ConfigurationInvalid, match="orders is the name of a sequence"):
        app_bench.run(app_bench.plan(QUERY, dest_table=ORDERS))


@pytest.mark.default_cases(1)
def test_triggers_and_foreign_keys_are_those_of_the_table_that_is_filled(app_bench: Bench) -> None:
    app_bench.at_destination(
        "CREATE TABLE app.orders (k int PRIMARY KEY, v text)",
        "CREATE TABLE app.lines (k int REFERENCES app.orders)",
        "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER skip BEFORE INSERT ON app.orders FOR EACH ROW EXECUTE FUNCTION skip()",
    )
    session = registry.connector("postgresql").connect(app_bench.destination)
    introspector = registry.connector("postgresql").introspector
    try:
        assert introspector.may_change_written_rows(session, ORDERS)
        assert [key.table for key in introspector.foreign_keys(session, ORDERS)] == [TableName("app", "lines")]
    finally:
        session.close()


@pytest.mark.default_cases(1)
def test_a_similar_name_in_the_current_schema_is_noticed(app_bench: Bench) -> None:
    app_bench.at_destination('CREATE TABLE app."Orders" (k int)')
    session = registry.connector("postgresql").connect(app_bench.destination)
    try:
        similar = registry.connector("postgresql").introspector.similar_tables(session, ORDERS)
    finally:
        session.close()
    assert similar == (TableName("app", "Orders"),)


@pytest.mark.default_cases(1)
def test_both_names_of_the_table_lock_the_same_publish(app_bench: Bench) -> None:
    app_bench.at_destination("CREATE TABLE app.orders (k int, v text)")
    plan = app_bench.plan(QUERY, lock_timeout=0.5)
    named, unnamed = (replace(plan, dest_table=table) for table in (TableName("app", "orders"), ORDERS))
    with Destination.open(named) as first, first.session.transaction():
        first.begin(first.table)
        with (
            pytest.raises(LockTimeout, match="locks on orders are held by process"),
            Destination.open(unnamed) as second,
            second.session.transaction(),
        ):
            second.begin(second.table)


def test_the_path_is_that_of_the_source_too(bench: Bench, shop: ConnectionParameters) -> None:
    both = Bench(by_url(shop), bench.destination)
    both.at_source("CREATE SCHEMA app", "CREATE TABLE app.s (k int)", "INSERT INTO app.s VALUES (7)")
    result = both.run(both.plan("SELECT k FROM s"))
    assert result.last(events.Staged).rows == 1
    assert both.rows() == [(7,)]
