"""Reading, writing and checking the secrets file."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connections.sdk.errors import ConfigurationInvalid
from connections.secrets.references import SecretStore
from tests.unit.connections.secrets.files import write


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("DW_PW=plain", "plain"),
        ("DW_PW = around the sign ", "around the sign"),
        ("DW_PW=a#b # c", "a#b # c"),
        ("DW_PW=a=b==", "a=b=="),
        ("DW_PW=$OTHER", "$OTHER"),
        ("DW_PW=", ""),
        ("DW_PW=' blanks and \"quotes\" '", ' blanks and "quotes" '),
        ("DW_PW='no \\n escapes'", "no \\n escapes"),
        ("DW_PW='it's'", "it's"),
        ('DW_PW="two\\nlines, a \\" and a \\\\"', 'two\nlines, a " and a \\'),
        ("DW_PW=back\\slash", "back\\slash"),
        ("DW_PW=Zürich\u2028geht", "Zürich\u2028geht"),
        ("DW_PW=windows\r", "windows"),
    ],
)
def test_a_line_of_the_file_is_parsed(store: SecretStore, file: Path, line: str, value: str) -> None:
    write(file, f"\ufeff# first\n{line}\nLAST=1\n")
    assert store.resolve("$DW_PW") == value
    assert store.check() == ()


@settings(max_examples=settings().max_examples // 5)
@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_value_that_is_set_is_resolved_unchanged(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    store = SecretStore(path=tmp_path_factory.getbasetemp() / "any.env")
    store.set("DW_PW", value)
    store.set("AFTER", "1")
    assert store.resolve("$DW_PW") == value
    assert store.names() == ("DW_PW", "AFTER")
    assert store.check() == ()


def test_setting_a_secret_keeps_all_other_lines_and_removes_its_duplicates(store: SecretStore, file: Path) -> None:
    before = "# the warehouse\nDW_PW=old\n\n  # and a broken line\nnot a line\nERP_PW = ' x '\nDW_PW=again\n"
    write(file, before)
    store.set("DW_PW", "new")
    store.set("NEW", "1")
    after = "# the warehouse\nDW_PW=new\n\n  # and a broken line\nnot a line\nERP_PW = ' x '\nNEW=1\n"
    assert file.read_text() == after


def test_the_file_is_replaced_atomically_and_readable_only_by_its_owner(store: SecretStore, file: Path) -> None:
    store.set("DW_PW", "one")
    file.chmod(0o644)
    with file.open() as reader:
        store.set("DW_PW", "two")
        assert reader.read() == "DW_PW=one\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secrets.env"]


def test_a_symbolic_link_to_the_file_is_kept(tmp_path: Path, file: Path) -> None:
    target = tmp_path / "elsewhere" / "real.env"
    file.symlink_to(target)
    SecretStore(path=file).set("DW_PW", "x")
    assert file.is_symlink()
    assert target.read_text() == "DW_PW=x\n"


@pytest.mark.matrix
def test_concurrent_writers_lose_no_secret(store: SecretStore) -> None:
    names = [f"NAME_{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.set(name, name), names))
    assert sorted(store.names()) == sorted(names)


@pytest.mark.parametrize("name", ["dw_pw", "$DW_PW", "DW PW", "", "1A", "DW_PW\n", "DW_PW=hunter2"])
def test_a_name_that_cannot_be_referenced_is_refused(store: SecretStore, file: Path, name: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        store.set(name, "value")
    assert not file.exists()
    assert "hunter2" not in str(caught.value.as_dict())


def test_a_value_that_cannot_be_stored_is_refused(store: SecretStore, file: Path) -> None:
    for value in ("a\0b", "a\ud800b"):
        with pytest.raises(ConfigurationInvalid):
            store.set("DW_PW", value)
    assert not file.exists()


@pytest.mark.parametrize(
    ("mode", "is_valid"), [(0o600, True), (0o400, True), (0o640, True), (0o644, False), (0o660, False)]
)
def test_a_file_that_others_may_read_or_change_is_reported(
    store: SecretStore, file: Path, mode: int, is_valid: bool
) -> None:
    write(file, "DW_PW=x\n")
    file.chmod(mode)
    problems = store.check()
    assert (problems == ()) is is_valid
    if not is_valid:
        assert problems[0].message == f"The secrets file {file} has mode {mode:04o}; others may read or change it."
        assert problems[0].hint == f"chmod 600 {file}"


def test_invalid_lines_are_reported_by_number_without_their_text(store: SecretStore, file: Path) -> None:
    write(file, '# fine\nDW_PW: hunter2\nexport A=hunter2\nB="hunter2\nlower=hunter2\nC=1\nC=2\n')
    report = " ".join(f"{problem.message} {problem.hint}" for problem in store.check())
    assert [number for number in range(1, 8) if f"line {number}:" in report] == [2, 3, 4, 5, 7]
    assert "hunter2" not in report


def test_a_file_of_another_user_is_reported(store: SecretStore, file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can change the owner of a file")
    write(file, "DW_PW=x\n")
    os.chown(file, 12345, 12345)
    assert "belongs to another user (id 12345)" in store.check()[0].message


def test_a_directory_that_any_user_may_write_to_is_reported(store: SecretStore, file: Path) -> None:
    write(file, "DW_PW=x\n")
    file.parent.chmod(0o777)
    assert "Any user can replace the secrets file" in store.check()[0].message


def test_a_file_that_is_not_utf8_is_refused_without_showing_its_text(store: SecretStore, file: Path) -> None:
    file.write_bytes(b"DW_PW=hunter2\xff\n")
    file.chmod(0o600)
    with pytest.raises(ConfigurationInvalid) as caught:
        store.resolve("$DW_PW")
    assert caught.value.message == f"The secrets file {file} is not UTF-8."
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert store.check()[0].message == caught.value.message


def test_a_directory_instead_of_the_file_is_refused(store: SecretStore, file: Path) -> None:
    file.mkdir()
    with pytest.raises(ConfigurationInvalid, match="is a directory"):
        store.resolve("$DW_PW")
    with pytest.raises(ConfigurationInvalid, match="is a directory"):
        store.set("DW_PW", "x")


def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "occupied").touch()
    with pytest.raises(ConfigurationInvalid, match="cannot be"):
        SecretStore(path=tmp_path / "occupied" / "secrets.env").set("DW_PW", "x")


def test_the_report_of_a_directory_instead_of_the_file_does_not_suggest_chmod(file: Path, store: SecretStore) -> None:
    file.mkdir(mode=0o755)
    assert [problem.message for problem in store.check()] == [f"{file} is not a file."]
    assert "chmod" not in store.check()[0].hint
