"""The redactor hides a secret in every encoding, and what looks like a password, and changes nothing else."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import math
import re
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from connections.secrets.redaction import CONTAINED, PATTERNS, RedactingFilter, Redactor, redactor

# without asterisks, because a secret of them could occur in the redacted text, and without the marks of a test
SECRETS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*\0⟦⟧"), min_size=4, max_size=40)
ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda secret: secret,
    "url": lambda secret: quote(secret, safe=""),
    "url lower case": lambda secret: quote(secret, safe="").replace("%3D", "%3d").replace("%2F", "%2f"),
    "path": quote,
    "form": quote_plus,
    "query": lambda secret: urlencode({"p": secret}),
    "json": json.dumps,
    "json unicode": lambda secret: json.dumps(secret, ensure_ascii=False),
    "json in json": lambda secret: json.dumps(json.dumps({"p": secret})),
    "sql": lambda secret: "'" + secret.replace("'", "''") + "'",
    "sql backslash": lambda secret: "'" + secret.replace("\\", "\\\\").replace("'", "\\'") + "'",
    "identifier": lambda secret: '"' + secret.replace('"', '""') + '"',
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "html": html.escape,
    "repr": repr,
}
# what is shown of an encoded secret; of those in quotes, the quotes
SHOWN = {"query": "p=***", "json in json": '"{\\"p\\": \\"***\\"}"'}
QUOTED = ("json", "json unicode", "sql", "sql backslash", "identifier", "repr")


@given(secret=SECRETS, before=st.text(max_size=10), after=st.text(max_size=10), name=st.sampled_from(sorted(ENCODINGS)))
def test_a_secret_is_hidden_in_every_encoding(secret: str, before: str, after: str, name: str) -> None:
    assume(len(secret.strip()) >= 4)
    encoded = ENCODINGS[name](secret)
    redacted = Redactor([secret]).text(f"{before}{encoded}{after}")
    assert encoded not in redacted
    assert secret not in redacted


@given(secret=SECRETS, name=st.sampled_from(sorted(ENCODINGS)))
def test_only_the_secret_is_replaced_in_an_encoded_text(secret: str, name: str) -> None:
    assume(len(secret.strip()) >= 4)
    encoded = ENCODINGS[name](secret)
    shown = f"{encoded[0]}***{encoded[-1]}" if name in QUOTED else SHOWN.get(name, "***")
    assert Redactor([secret]).text(f"⟦{encoded}⟧") == f"⟦{shown}⟧"


@given(secret=SECRETS, user=st.sampled_from(["", "a", "bo", "etl", "user"]))
def test_a_secret_is_hidden_in_a_basic_authentication_header(secret: str, user: str) -> None:
    assume(len(secret.encode()) >= 6 and ":" not in secret)
    header = base64.b64encode(f"{user}:{secret}".encode()).decode()
    redacted = Redactor([secret]).text(f"Authorization: Basic {header}")
    # only characters that encode the user, and with them bits of the first or the last byte of the secret
    before = math.ceil(len(f"{user}:") * 8 / 6)
    assert re.fullmatch(rf"Authorization: Basic [\w+/]{{0,{before}}}\*\*\*[\w+/]{{0,2}}={{0,2}}", redacted)


@given(secret=SECRETS, text=st.text(st.characters(codec="ascii", categories=("L", "N", "Zs")), max_size=60))
def test_text_without_a_secret_is_not_changed(secret: str, text: str) -> None:
    assume(all(encode(secret).strip("'\"") not in text for encode in ENCODINGS.values()))
    assume(not secret.isascii() or not any(secret[i : i + 3] in text for i in range(len(secret) - 2)))
    assert Redactor([secret]).text(text) == text


@example(text='""0')
@example(text='"x"}')
@given(text=st.text())
def test_redacted_text_is_not_changed_by_redacting_it_again(text: str) -> None:
    once = Redactor(["s3cret-value"]).text(f"{text} password={text}")
    assert Redactor(["s3cret-value"]).text(once) == once


def test_a_secret_that_contains_another_is_hidden_as_a_whole() -> None:
    assert Redactor(["summer", "summer2026"]).text("summer2026 and summer") == "*** and ***"


def test_a_very_short_secret_is_hidden_only_where_it_looks_like_a_password() -> None:
    assert Redactor(["abc"]).text("abc is the alphabet; password=abc") == "abc is the alphabet; password=***"


def test_a_secret_of_several_lines_is_hidden() -> None:
    key = "-----BEGIN KEY-----\nMIIE\n-----END KEY-----"
    assert Redactor([key]).text(f"key:\n{key}\n.") == "key:\n***\n."


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgresql://etl:hunter2@db:5432/dw", "postgresql://etl:***@db:5432/dw"),
        ("postgresql://etl:hun@ter2@db/dw", "postgresql://etl:***@db/dw"),
        ("postgresql://etl:hun/ter2@db/dw", "postgresql://etl:***@db/dw"),
        ("redis://:hunter2@db", "redis://:***@db"),
        ("jdbc:oracle:thin:scott/hunter2@//db:1521/x", "jdbc:oracle:thin:scott/***@//db:1521/x"),
        (
            "jdbc:sqlserver://db;user=sa;password=hunter2;encrypt=true",
            "jdbc:sqlserver://db;user=sa;password=***;encrypt=true",
        ),
        ("jdbc:sqlserver://db;password={hun;ter}}2};encrypt=true", "jdbc:sqlserver://db;password=***;encrypt=true"),
        ("jdbc:mysql://db/x?user=a&password=hunter2&useSSL=true", "jdbc:mysql://db/x?user=a&password=***&useSSL=true"),
        ("UID=sa;PWD=hunter2;", "UID=sa;PWD=***;"),
        ("host=db password='hun \\'ter2' user=x", "host=db password=*** user=x"),
        ('{"password": "hunter2", "user": "x"}', '{"password": ***, "user": "x"}'),
        ("{'password': 'hunter2'}", "{'password': ***}"),
        ("sslpassword=hunter2 trustStorePassword=hunter2", "sslpassword=*** trustStorePassword=***"),
        ("Password: hunter2", "Password: ***"),
        ("CREATE USER x IDENTIFIED BY 'hun''ter2'", "CREATE USER x IDENTIFIED BY ***"),
        ('ALTER USER x IDENTIFIED BY "hunter2"', "ALTER USER x IDENTIFIED BY ***"),
        ("identified by hunter2", "identified by ***"),
        ("IDENTIFIED WITH mysql_native_password BY 'hunter2'", "IDENTIFIED WITH mysql_native_password BY ***"),
        ("CREATE ROLE x PASSWORD 'hunter2' LOGIN", "CREATE ROLE x PASSWORD *** LOGIN"),
    ],
)
def test_an_unknown_password_is_hidden_by_its_context(text: str, redacted: str) -> None:
    assert Redactor().text(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "password=$DW_PW",
        'password: "$DW_PW"'.replace('"', ""),
        "http://127.0.0.1:8100/admin/?mail=a@b.example",
        "jdbc:postgresql://127.0.0.1:5432/dw",
        'FATAL: password authentication failed for user "etl"',
        "Access denied for user 'etl'@'db' (using password: YES)",
        "fe_sendauth: no password supplied",
        "SELECT password_hash, pwd FROM users",
        "mail etl@example.com at 12:30",
    ],
)
def test_text_that_resembles_a_password_is_not_changed(text: str) -> None:
    assert Redactor().text(text) == text


@given(text=st.sampled_from([pattern for pattern, _ in PATTERNS]).flatmap(lambda p: st.from_regex(re.compile(p, re.I))))
def test_texts_that_contain_no_part_of_a_pattern_need_not_be_searched(text: str) -> None:
    assert any(part in text.casefold() for part in CONTAINED)


@pytest.mark.matrix
def test_patterns_do_not_backtrack_on_long_hostile_text() -> None:
    started = time.process_time()
    for text in (
        "://a:" * 40_000,
        "password" * 40_000,
        "password='" + "\\'" * 60_000,
        "jdbc:oracle:thin:" + "a" * 200_000,
    ):
        Redactor(["s3cret-value"]).text(text)
    assert time.process_time() - started < 5


@pytest.fixture
def log() -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    return logger, stream


def test_a_log_record_contains_no_secret_of_this_process(log: tuple[logging.Logger, io.StringIO]) -> None:
    redactor().add("canary-5512")
    logger, stream = log
    logger.warning("connecting with %s", {"pw": "canary-5512"})
    try:
        raise ValueError("no such user canary-5512")
    except ValueError:
        logger.exception("failed")
    logger.warning("odd %d", "canary-5512")
    logger.warning("stack", stack_info=True)
    written = stream.getvalue()
    assert "canary-5512" not in written
    assert "connecting with {'pw': '***'}" in written
    assert "ValueError: no such user ***" in written
    assert "Traceback" in written


def test_a_log_record_without_secrets_is_not_changed(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = log
    logger.warning("%d rows in %.1f s", 3, 0.25)
    assert stream.getvalue() == "3 rows in 0.2 s\n"
