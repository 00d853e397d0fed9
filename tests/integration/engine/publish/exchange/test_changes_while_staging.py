"""What appears between the staging of rows and their publish is not lost: the rows are copied."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg
import pytest

from connections.sdk.errors import Overtaken, PipekitError, Refused
from runs.engine.events import Event, MethodChosen, StepFinished
from runs.engine.plan import Plan
from runs.engine.publish import commit
from runs.engine.publish.destination_shape import DestinationChanged
from runs.engine.sync import execute_plan
from tests.harness.bench import Bench, Rows

pytestmark = pytest.mark.usefixtures("transfer_in_process")
QUERY = "SELECT n AS id, 'new' AS v FROM generate_series(1, 3) n"
NEW = [(1, "new"), (2, "new"), (3, "new")]
FOREIGN_KEYS = "SELECT conname::text, conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' ORDER BY 1, 2"
# by name: the statement, a query for what it made, and what the reason contains, empty if it is carried over
CHANGES = {
    "view": (
        "CREATE VIEW sync.v AS SELECT * FROM sync.t",
        "SELECT definition FROM pg_views WHERE schemaname = 'sync'",
        "view sync.v depends",
    ),
    "grant": (
        "GRANT SELECT ON sync.t TO pg_monitor",
        "SELECT relacl::text FROM pg_class WHERE relname = 't'",
        "(table)",
    ),
    "column": ("ALTER TABLE sync.t ADD x int DEFAULT 7", "SELECT DISTINCT x FROM sync.t", "(column x)"),
    "index": ("CREATE INDEX a ON sync.t (v)", "SELECT indexdef FROM pg_indexes WHERE indexname = 'a'", ""),
    "comment": ("COMMENT ON COLUMN sync.t.v IS 'c'", "SELECT col_description('sync.t'::regclass, 2)", "(column v)"),
    "statistics": (
        "CREATE STATISTICS sync.s ON id, v FROM sync.t",
        "SELECT stxrelid::regclass::text FROM pg_statistic_ext WHERE stxname = 's'",
        "",
    ),
    "option": (
        "ALTER TABLE sync.t SET (fillfactor = 50)",
        "SELECT reloptions::text FROM pg_class WHERE relname = 't'",
        "(table)",
    ),
    "foreign key": (
        "CREATE TABLE sync.u (x int CONSTRAINT fk REFERENCES sync.t)",
        "SELECT confrelid::regclass::text FROM pg_constraint WHERE conname = 'fk'",
        "constraint fk on table sync.u depends",
    ),
    "own foreign key": (
        "ALTER TABLE sync.t ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES sync.t",
        "SELECT conrelid::regclass::text FROM pg_constraint WHERE conname = 'fk' AND confrelid = 'sync.t'::regclass",
        "",
    ),
    "trigger": (
        "CREATE TRIGGER g BEFORE UPDATE ON sync.t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'g'",
        "trigger g on table sync.t depends",
    ),
}


@pytest.fixture
def table(pg_bench: Bench) -> Bench:
    pg_bench.at_destination(
        "CREATE SCHEMA sync",
        "CREATE TABLE sync.t (id int PRIMARY KEY, v text)",
        "INSERT INTO sync.t VALUES (1, 'old'), (4, 'old')",
    )
    return pg_bench


def run(plan: Plan, change: Callable[[], object], *, step: str = "transfer") -> list[Event]:
    """Execute the plan, and make the change after one of its steps."""
    result = list[Event]()
    for event in execute_plan(plan):
        result.append(event)
        if isinstance(event, StepFinished) and event.step == step:
            change()
    return result


def methods(result: list[Event]) -> list[MethodChosen]:
    return [event for event in result if isinstance(event, MethodChosen)]


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_not_lost_and_the_reason_names_it(table: Bench, name: str) -> None:
    statement, query, reason = CHANGES[name]
    made = list[Rows]()

    def change() -> None:
        table.at_destination(statement)
        made.append(table.rows(query))

    first, *instead = methods(run(table.plan(QUERY), change))
    assert first.method == "swap"
    assert [chosen.method in ("truncate", "delete") and reason in chosen.why for chosen in instead] == [True] * bool(
        reason
    )
    assert table.rows("SELECT id, v FROM sync.t ORDER BY 1") == NEW
    assert made[0] == table.rows(query) != []


def test_an_index_that_appears_after_staging_was_indexed_is_not_lost(
    table: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(name: str) -> None:
        if name == "publish.begun" and not table.rows("SELECT to_regclass('sync.a')")[0][0]:
            table.at_destination("CREATE INDEX a ON sync.t (v)")

    monkeypatch.setattr(commit, "point", create)
    chosen = methods(list(execute_plan(table.plan(QUERY))))[-1]
    assert chosen.why.endswith("(index a)")
    assert table.rows() == NEW
    assert table.rows("SELECT indrelid::regclass::text FROM pg_index WHERE indexrelid = 'sync.a'::regclass") == [
        ("sync.t",)
    ]


@pytest.mark.parametrize(
    ("statement", "query"),
    [
        ("CREATE VIEW sync.v AS SELECT * FROM sync.t", "SELECT count(*) FROM sync.v"),
        (
            "GRANT SELECT ON sync.t TO pg_monitor",
            "SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE relname = 't'",
        ),
    ],
)
def test_a_change_that_is_committed_while_the_publish_waits_is_not_lost(
    table: Bench, statement: str, query: str
) -> None:
    """Also when the snapshots of the user's transactions are older than the lock."""
    name = table.rows("SELECT current_database()")[0][0]
    table.at_destination(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    table.run(table.plan(QUERY))
    with psycopg.connect(table.destination.url) as connection:
        connection.execute(statement.encode())

        def commit_later() -> None:
            time.sleep(0.5)
            connection.commit()

        thread = threading.Thread(target=commit_later)
        last = methods(run(table.plan(QUERY), thread.start))[-1]
        thread.join()
    assert last.method == "truncate"
    assert table.rows() == NEW
    assert table.rows(query)[0][0] > 2


def test_a_table_that_is_created_meanwhile_is_filled(pg_bench: Bench) -> None:
    pg_bench.at_destination("CREATE SCHEMA sync")
    result = run(pg_bench.plan(QUERY), lambda: pg_bench.at_destination("CREATE TABLE sync.t (id int, v text, w int)"))
    assert methods(result)[-1].why == "the table is not exchanged, because it was created while rows were staged"
    assert pg_bench.rows("SELECT id, v, w FROM sync.t ORDER BY 1") == [(*row, None) for row in NEW]


def test_a_table_that_is_dropped_meanwhile_is_not_created_again(table: Bench) -> None:
    with pytest.raises(DestinationChanged, match="was dropped"):
        run(table.plan(QUERY), lambda: table.at_destination("DROP TABLE sync.t"))
    assert table.rows("SELECT to_regclass('sync.t')") == [(None,)]


@pytest.mark.parametrize("step", ["stage", "transfer"])
def test_a_run_that_was_overtaken_does_not_exchange(table: Bench, step: str) -> None:
    late = "SELECT n AS id, 'late' AS v FROM generate_series(1, 3) n"
    with pytest.raises(Overtaken):
        run(table.plan(late), lambda: table.run(table.plan(QUERY)), step=step)
    assert table.rows() == NEW
    # the later run's former table
    assert table.rows("SELECT * FROM pipekit_staging.m ORDER BY 1") == [(1, "old"), (4, "old")]


def test_no_foreign_key_of_staging_remains(table: Bench) -> None:
    """It would prevent, or cascade, deletes from the referenced table."""
    table.at_destination(
        "CREATE TABLE sync.parent (k int PRIMARY KEY)",
        "INSERT INTO sync.parent SELECT generate_series(1, 9)",
        "INSERT INTO sync.t SELECT n, 'old' FROM generate_series(5, 9) n",
        "ALTER TABLE sync.t ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES sync.parent",
    )

    def failing(change: str, error: type[PipekitError]) -> None:
        with pytest.raises(error):
            run(table.plan(QUERY), lambda: table.at_destination(change))
        assert table.rows(FOREIGN_KEYS) == [("fk", "sync.t")]

    failing("SELECT 1", Refused)
    failing("DELETE FROM sync.t; DELETE FROM sync.parent WHERE k = 3", PipekitError)
    table.at_destination("INSERT INTO sync.parent VALUES (3)")
    for change in ("SELECT 1", "CREATE VIEW sync.v AS SELECT * FROM sync.t"):
        run(table.plan(QUERY), lambda change=change: table.at_destination(change))  # type: ignore[misc]
        assert table.rows(FOREIGN_KEYS) == [("fk", "sync.t")]
