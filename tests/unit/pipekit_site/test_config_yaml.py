"""The settings in config.yaml and in environment variables, and the errors for invalid ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from pipekit_site.config import config
from pipekit_site.config.config import Config


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in config.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIPEKIT_DATA_DIR", str(tmp_path))
    return tmp_path


def write(data_dir: Path, text: str) -> Path:
    file = data_dir / "config.yaml"
    file.write_text(text)
    return file


def error_message(data_dir: Path, text: str = "") -> str:
    if text:
        write(data_dir, text)
    with pytest.raises(ImproperlyConfigured) as caught:
        config.load()
    return str(caught.value)


def test_without_a_file_all_paths_are_in_the_data_directory(data_dir: Path) -> None:
    assert config.load() == Config(
        data_dir=data_dir,
        database=str(data_dir / "pipekit.db"),
        driver_dir=data_dir / "drivers",
        secrets_file=data_dir / "secrets.env",
        config_file=data_dir / "config.yaml",
    )


def test_a_config_yaml_that_is_a_directory_or_a_broken_link_is_an_error(data_dir: Path) -> None:
    file = data_dir / "config.yaml"
    file.symlink_to(data_dir / "moved.yaml")
    assert f"{file} is a broken link to {data_dir / 'moved.yaml'}" in error_message(data_dir)
    file.unlink()
    file.mkdir()
    assert f"{file} is a directory; expected a YAML file" in error_message(data_dir)


def test_every_key_of_the_file_is_read(data_dir: Path) -> None:
    write(
        data_dir,
        """
        database: postgresql://pipekit:x@db.example.com:5433/meta
        jrunner_path: tools/jrunner
        driver_dir: /opt/drivers
        secrets_file: /etc/pipekit/secrets.env
        api_port: 8200
        allowed_hosts: [etl.example.com]
        debug: true
        file_roots: [/data, exports]
        smtp: {host: smtp.example.com, port: 587, from: etl@example.com, to: "a@example.com, b@example.com"}
        """,
    )
    loaded = config.load()
    assert loaded.database == "postgresql://pipekit:x@db.example.com:5433/meta"
    assert loaded.jrunner_path == str(data_dir / "tools/jrunner")
    assert (loaded.driver_dir, loaded.secrets_file) == (Path("/opt/drivers"), Path("/etc/pipekit/secrets.env"))
    assert (loaded.api_port, loaded.allowed_hosts, loaded.debug) == (8200, ("etl.example.com",), True)
    assert loaded.file_roots == (Path("/data"), data_dir / "exports")
    assert loaded.smtp == config.Smtp(
        host="smtp.example.com", port=587, sender="etl@example.com", to=("a@example.com", "b@example.com")
    )


@pytest.mark.parametrize(
    ("variable", "value", "attribute", "expected"),
    [
        ("PIPEKIT_DATABASE", "/srv/meta.db", "database", "/srv/meta.db"),
        ("PIPEKIT_DATABASE", "sqlite:////srv/meta.db", "database", "/srv/meta.db"),
        ("PIPEKIT_JRUNNER_PATH", "", "jrunner_path", ""),
        ("PIPEKIT_JRUNNER_PATH", "jrunner", "jrunner_path", "jrunner"),
        ("PIPEKIT_DRIVER_DIR", "/srv/jars", "driver_dir", Path("/srv/jars")),
        ("PIPEKIT_SECRETS", "/srv/s.env", "secrets_file", Path("/srv/s.env")),
        ("PIPEKIT_SECRETS_FILE", "/srv/s.env", "secrets_file", Path("/srv/s.env")),
        ("PIPEKIT_API_PORT", "9000", "api_port", 9000),
        ("PIPEKIT_ALLOWED_HOSTS", "a.example.com,b.example.com", "allowed_hosts", ("a.example.com", "b.example.com")),
        ("PIPEKIT_DEBUG", "off", "debug", False),
    ],
)
def test_an_environment_variable_takes_precedence_over_the_file(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, attribute: str, expected: object
) -> None:
    write(
        data_dir,
        "database: other.db\njrunner_path: /other\ndriver_dir: other\nsecrets_file: other\napi_port: 1\ndebug: true\n"
        "allowed_hosts: other.example.com\n",
    )
    monkeypatch.setenv(variable, value)
    assert getattr(config.load(), attribute) == expected


def test_an_environment_variable_overrides_a_single_smtp_key(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(data_dir, "smtp: {host: smtp.example.com, to: a@example.com}")
    monkeypatch.setenv("PIPEKIT_SMTP_PORT", "2525")
    monkeypatch.setenv("PIPEKIT_SMTP_HOST", "other.example.com")
    smtp = config.load().smtp
    assert (smtp.host, smtp.port, smtp.to) == ("other.example.com", 2525, ("a@example.com",))


def test_relative_paths_in_the_file_start_at_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for copy in ("here", "there"):
        file = tmp_path / copy / "etc" / "config.yaml"
        file.parent.mkdir(parents=True)
        file.write_text("data_dir: ../data\ndatabase: meta.db\n")
        monkeypatch.setenv("PIPEKIT_CONFIG", str(file))
        assert config.load().database == str(tmp_path / copy / "data" / "meta.db")


def test_the_default_data_directory_is_var_next_to_manage_py(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert config.load().data_dir == config.BASE_DIR / "var"


def test_a_relative_data_directory_does_not_depend_on_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPEKIT_DATA_DIR", "var")
    monkeypatch.chdir(tmp_path)
    assert config.load().data_dir == config.BASE_DIR / "var"


@pytest.mark.parametrize(
    ("text", "key", "line", "expected"),
    [
        ("api_port: many", "api_port", 1, "a whole number from 1 to 65535"),
        ("\napi_port: 99999", "api_port", 2, "a whole number from 1 to 65535"),
        ("api_port: true", "api_port", 1, "a whole number"),
        ("data_dir: [a]", "data_dir", 1, "a path"),
        ("database: 7", "database", 1, "the path of a SQLite file, or postgresql://"),
        ("database: mysql://h/db", "database", 1, "the path of a SQLite file, or postgresql://"),
        ("database: postgresql://h:port/db", "database", 1, "the path of a SQLite file, or postgresql://"),
        ("secrets_file: {a: b}", "secrets_file", 1, "a path"),
        ("debug: perhaps", "debug", 1, "true or false"),
        ("allowed_hosts: ['http://x']", "allowed_hosts", 1, "a host name"),
        ("smtp:\n  port: x", "smtp.port", 2, "a whole number"),
        ("smtp:\n  from: nobody", "smtp.from", 2, "an e-mail address"),
        ("smtp:\n  to: [a@example.com, b]", "smtp.to", 2, "an e-mail address"),
        ("smtp: mail.example.com", "smtp", 1, "the keys from, host, port, to"),
        ("api_prot: 8100", "api_prot", 1, "did you mean api_port?"),
        ("smtp:\n  sender: a@example.com", "smtp.sender", 2, "there is no such key"),
        ("api_port: 1\napi_port: 2", "api_port", 2, "it is set twice"),
        ("- a", "config.yaml", 1, "keys and values"),
        ("a: [", "config.yaml", 1, "this is not YAML"),
        ("api_port: 8100\ndatabase: !hunter2 x", "config.yaml", 2, "this is not YAML"),
        ("data_dir: 2021-13-45", "config.yaml", 1, "this is not YAML"),
    ],
)
def test_an_error_in_the_file_names_key_line_and_expected_value(
    data_dir: Path, text: str, key: str, line: int, expected: str
) -> None:
    message = error_message(data_dir, text)
    assert key in message
    assert f"config.yaml, line {line}" in message
    assert expected in message


def test_a_file_that_is_not_utf8_is_refused(data_dir: Path) -> None:
    (data_dir / "config.yaml").write_bytes("api_port: 8100 # fünf\n".encode("latin-1"))
    assert "config.yaml: this is not text in UTF-8" in error_message(data_dir)


@pytest.mark.parametrize(
    ("variable", "value", "key", "expected"),
    [
        ("PIPEKIT_API_PORT", "many", "api_port", "a whole number"),
        ("PIPEKIT_API_PORT", "", "api_port", "a whole number"),
        ("PIPEKIT_DEBUG", "ture", "debug", "true or false"),
        ("PIPEKIT_SMTP_PORT", "0", "smtp.port", "a whole number"),
        ("PIPEKIT_DRIVER_DIR", "", "driver_dir", "a path"),
        ("PIPEKIT_SECRETS", "$HOME", "secrets_file", "not a $reference"),
    ],
)
def test_an_error_in_a_variable_names_the_variable_and_its_key(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, key: str, expected: str
) -> None:
    monkeypatch.setenv(variable, value)
    message = error_message(data_dir)
    assert f"{key}, set in {variable}: expected" in message
    assert expected in message


def test_all_errors_are_reported_together(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPEKIT_DEBUG", "x")
    message = error_message(data_dir, "api_port: x\nunknown: 1\n")
    assert all(word in message for word in ("debug", "api_port", "unknown"))


def test_an_error_message_does_not_contain_the_database_password(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPEKIT_DATABASE", "postgres://u:geheim@h:port/db")
    assert "geheim" not in error_message(data_dir)


def test_a_file_named_by_the_environment_must_exist(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPEKIT_CONFIG", str(data_dir / "none.yaml"))
    assert "PIPEKIT_CONFIG: there is no file" in error_message(data_dir)


def test_keys_without_a_value_keep_their_defaults(data_dir: Path) -> None:
    write(data_dir, "jrunner_path: null\napi_port:\nsmtp:\n")
    assert (config.load().jrunner_path, config.load().api_port) == ("", 8100)
