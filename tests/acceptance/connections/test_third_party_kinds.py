"""Tests of driver kinds in third-party packages: installed as entry points, configured, tested, and used by runs."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = ROOT / "tests" / "fixtures" / "plugins"
TOKEN = "s3cret-web-token"
# one that the reader refuses
KEY = "revoked-w3b-k3y"
TABLES = {"issues": [{"id": 1, "title": "Grüße", "points": 2.5}, {"id": 2, "title": "it's", "points": 0.1}]}
# adds connections with the admin's form and tests them with its button; prints results read from the pages
ADMIN = """
import django
django.setup()
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from connections.models import Connection, Driver

client = Client(SERVER_NAME="localhost")
client.force_login(get_user_model().objects.create_superuser("root"))
def page(name, data=None):
    url = reverse("admin:connections_" + name)
    response = client.get(url) if data is None else client.post(url, data, follow=True)
    return response.content.decode()
def add(**fields):
    data = {"supports_deletes": "on", "max_parallel": 4, "options": "", "username": "", "password": "", **fields}
    return page("connection_add", data)

def test(name):
    pk = Connection.objects.get(name=name).pk
    data = {"action": "test", "_selected_action": pk, "from_page": "1"}
    return f"<b>{name} works.</b>" in page("connection_changelist", data)

drivers = page("driver_changelist")
foo, web = (Driver.objects.get(kind=kind) for kind in ("foo", "web"))
results = {
    "drivers": [title in drivers for title in ("Foo", "Web tables")],
    "required option": "is required: The directory of the hosts." in add(
        name="a", driver=foo.pk, jdbc_url="foo://localhost/shop"
    ),
    "refused property": "Allowed for foo: mode." in add(
        name="a", driver=foo.pk, jdbc_url="foo://localhost/shop?init=x", options='{"root": "HOSTS"}'
    ),
    "other kind": "The URL is for foo" in add(name="a", driver=web.pk, jdbc_url="foo://localhost/shop"),
    "clear text": "which is not encrypted" in add(name="a", driver=web.pk, jdbc_url="http://db.example.com/api"),
    "token": "such as $WEB_TOKEN" in add(name="a", driver=web.pk, jdbc_url="SERVICE"),
    "connections": Connection.objects.count(),
}
add(name="shop", driver=foo.pk, jdbc_url="foo://localhost/shop", options='{"root": "HOSTS"}')
add(name="tracker", driver=web.pk, jdbc_url="SERVICE", password="$WEB_TOKEN")
results |= {"shop": test("shop"), "tracker": test("tracker")}
import json
print("RESULTS", json.dumps(results))
"""
# reads the pages of a connection and a driver whose package is not installed
NOT_INSTALLED = (
    ADMIN[: ADMIN.index("drivers = ")]
    + """
import json
foo, row = Driver.objects.get(kind="foo"), Connection.objects.get(name="shop")
def change(row):
    url = reverse(f"admin:connections_{row._meta.model_name}_change", args=[row.pk])
    return client.get(url).content.decode()

results = {
    "list": "not installed" in page("driver_changelist"),
    "driver": "There is no driver kind “foo”." in change(foo),
    "connection": "foo://localhost/shop" in change(row),
    "connections": "tracker" in page("connection_changelist"),
}
print("RESULTS", json.dumps(results))
"""
)
Manage = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return a directory that contains both packages as pip would install them."""
    site = tmp_path / "site"
    for package, kind in (("pipekit_foo", "foo"), ("pipekit_web", "web")):
        shutil.copytree(PLUGINS / package, site / package)
        info = site / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[pipekit.connectors]\n{kind} = {package}\n")
    return site


@pytest.fixture
def manage(tmp_path: Path, installed: Path) -> Manage:
    """Return a function that runs a command in a new installation; ``site`` is the third-party packages' directory."""
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)

    def run(*words: str, site: Path | None = installed) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PIPEKIT_")}
        environment |= {"PIPEKIT_DATA_DIR": str(data_dir), "DJANGO_SETTINGS_MODULE": "pipekit_site.settings"}
        environment |= {"WEB_TOKEN": TOKEN, "WEB_KEY": KEY, "PIPEKIT_SECRET_ENVIRONMENT": "WEB_TOKEN,WEB_KEY"}
        if site is not None:
            environment["PYTHONPATH"] = str(site)
        command = [sys.executable, *words] if words[0] == "-c" else [sys.executable, "manage.py", *words]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)

    assert run("migrate", site=None).returncode == 0
    return run


@pytest.fixture
def service() -> Iterator[str]:
    """Start a local web service; return its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers = {"/api/health": {}, "/api/tables.json": TABLES}
            is_authorized = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            self.send_response(401 if not is_authorized else 200 if self.path in answers else 404)
            self.end_headers()
            if is_authorized and self.path in answers:
                self.wfile.write(json.dumps(answers[self.path]).encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    """Return Foo's directory of hosts; database `shop` of host `localhost` has a table `orders`."""
    root = tmp_path / "hosts"
    (root / "localhost").mkdir(parents=True)
    with closing(sqlite3.connect(root / "localhost" / "shop.db")) as database:
        database.executescript(
            """CREATE TABLE orders ("Order#" INTEGER, name TEXT);
            INSERT INTO orders VALUES (1, 'one  '), (2, 'zwölf'), (3, NULL);"""
        )
    return root


@pytest.mark.matrix
def configuration(hosts: Path, service: str, database_url: str) -> str:
    return f"""\
connections:
  shop: {{driver: foo, jdbc_url: "foo://localhost/shop?mode=fast", options: {{root: {hosts}}}}}
  archive: {{driver: foo, jdbc_url: "foo://localhost/archive", options: {{root: {hosts}, create: true}}}}
  tracker: {{driver: web, jdbc_url: "{service}", password: $WEB_TOKEN}}
  warehouse: {{driver: postgresql, jdbc_url: "{database_url}"}}
modules:
  orders:
    source_connection: shop
    dest_connection: warehouse
    dest_table: sync.orders
    source_query: SELECT "Order#" AS order_no, RTRIM(name) AS name FROM orders
    merge_strategy: incremental
    merge_key: order_no
  archived:
    source_connection: shop
    dest_connection: archive
    dest_table: orders
    source_query: SELECT "Order#" AS order_no, name FROM orders
  issues:
    source_connection: tracker
    dest_connection: warehouse
    dest_table: sync.issues
    source_query: SELECT id, title, points FROM issues WHERE id > 1
"""


@pytest.mark.matrix
def test_connections_of_third_party_kinds_are_imported_tested_and_used_by_runs(
    tmp_path: Path, manage: Manage, hosts: Path, service: str, database_url: str
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(configuration(hosts, service, database_url))
    refused = manage("importconfig", str(file), site=None)
    assert refused.returncode == 2 and "foo" in refused.stderr
    imported = manage("importconfig", str(file))
    assert imported.returncode == 0, imported.stderr

    for name, steps in {
        "shop": ["secret", "url", "host", "driver", "login", "database", "read"],
        "tracker": ["secret", "url", "host", "port", "driver", "health", "login", "read"],
    }.items():
        test = json.loads(manage("testconnection", name, "--json").stdout)
        assert test["ok"], test
        assert [step["name"] for step in test["steps"]] == steps

    for name in ("orders", "archived", "issues"):
        completed = manage("runmodule", name, "--json")
        assert completed.returncode == 0, completed.stderr
    with closing(sqlite3.connect(hosts / "localhost" / "shop.db")) as shop:
        shop.execute("INSERT INTO orders VALUES (4, 'four')")
        shop.commit()
    run = json.loads(manage("runmodule", "orders", "--json").stdout)
    assert run["source_query"].endswith('FROM orders WHERE "Order#" > 3')
    assert (run["read"], run["inserted"]) == (1, 1)
    with psycopg.connect(database_url) as warehouse:
        rows = warehouse.execute("SELECT * FROM sync.orders ORDER BY 1").fetchall()
        assert rows == [(1, "one"), (2, "zwölf"), (3, None), (4, "four")]
        assert warehouse.execute("SELECT * FROM sync.issues").fetchall() == [(2, "it's", 0.1)]
    with closing(sqlite3.connect(hosts / "localhost" / "archive.db")) as archive:
        assert archive.execute("SELECT count(*) FROM orders").fetchone() == (3,)


@pytest.mark.matrix
def test_a_secret_option_in_the_error_and_the_log_of_a_reader_is_shown_and_stored_nowhere(
    tmp_path: Path, manage: Manage, hosts: Path, service: str, database_url: str
) -> None:
    file = tmp_path / "config.yaml"
    text = configuration(hosts, service, database_url)
    file.write_text(text.replace("password: $WEB_TOKEN", "password: $WEB_TOKEN, options: {web_key: $WEB_KEY}"))
    imported = manage("importconfig", str(file))
    assert imported.returncode == 0, imported.stderr
    completed = manage("runmodule", "issues", "--json")
    assert json.loads(completed.stdout)["error"]["message"] == "The key *** is refused."
    stored = {path.name: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    logs = b"".join(content for name, content in stored.items() if name.endswith(".log"))
    assert b"The key *** is refused, of " in logs
    for secret in (KEY, TOKEN):
        assert secret not in completed.stdout + completed.stderr
        assert [name for name, content in stored.items() if secret.encode() in content] == []


def results(completed: subprocess.CompletedProcess[str]) -> Any:
    """Return the results that a script has printed."""
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout.rpartition("RESULTS")[2])


@pytest.mark.matrix
def test_connections_of_third_party_kinds_are_added_and_tested_in_the_admin(
    manage: Manage, hosts: Path, service: str
) -> None:
    # adds the drivers, as does the start of a server
    assert manage("migrate").returncode == 0
    assert results(manage("-c", ADMIN.replace("HOSTS", str(hosts)).replace("SERVICE", service))) == {
        "drivers": [True, True],
        **dict.fromkeys(("required option", "refused property", "other kind", "clear text", "token"), True),
        "connections": 0,
        **dict.fromkeys(("shop", "tracker"), True),
    }
    # without the packages, everything can still be read, with a message; it works again when they are installed
    script = NOT_INSTALLED.replace('create_superuser("root")', 'get(username="root")')
    pages = results(manage("-c", script, site=None))
    assert pages == dict.fromkeys(("list", "driver", "connection", "connections"), True)
    exported = manage("exportconfig", site=None)
    assert exported.returncode == 0 and "driver: web" in exported.stdout
    failed = manage("testconnection", "shop", site=None)
    assert failed.returncode == 1 and "There is no driver kind “foo”." in failed.stderr
    doctor = manage("doctor", site=None)
    assert "There is no driver kind “foo”." in doctor.stdout + doctor.stderr
    assert manage("testconnection", "shop").returncode == 0
