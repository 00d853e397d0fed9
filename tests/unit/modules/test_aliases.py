"""Destination names: what becomes of a source name, and which ones are refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connections.sdk.errors import ConfigurationInvalid
from modules.query.aliases import check_names, safe_alias, suggest


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DCORD#", "dcord"),
        ("Company Name", "company_name"),
        ("2nd", "c_2nd"),
        ("A#B", "a_b"),
        ("a - b", "a_b"),
        ("$Amount (EUR)", "amount_eur"),
        ("_id", "_id"),
        ("Größe", "grosse"),
        ("Ærø Łódź", "aero_lodz"),
        ("İstanbul ılık", "istanbul_ilik"),
        ("Дата рождения, й", "data_rozhdeniya_y"),
        ("ΆΛΦΑ", "alfa"),
        ("日本", "u65e5_u672c"),
        ("٣", "u663"),
        ("##", "c"),
        ("", "c"),
    ],
)
def test_names_become_lower_case_identifiers(name: str, expected: str) -> None:
    assert safe_alias(name) == expected


@given(st.text())
def test_every_name_becomes_an_identifier_that_stays_itself(name: str) -> None:
    alias = safe_alias(name)
    assert re.fullmatch(r"[a-z_][a-z0-9_]*", alias)
    assert safe_alias(alias) == alias


def test_two_names_that_end_up_alike_are_refused_with_both() -> None:
    with pytest.raises(ConfigurationInvalid, match="Columns 1 and 3 .*“dcord” and “Dcord”"):
        check_names(["dcord", "a", "Dcord"])


def test_a_name_over_63_bytes_is_refused() -> None:
    check_names(["x" * 63, "é" * 31])
    for name in ("x" * 64, "é" * 32, ""):
        with pytest.raises(ConfigurationInvalid, match="column 1"):
            check_names([name])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("dcord#", "dcord"),
        ("DCORD#", "dcord"),
        ('"DCORD#"', "dcord"),
        ("t.[Company Name]", "company_name"),
        ("`COMPANY_NAME`", "company_name"),
        ("ORDNO", "order_number"),
        ("dcord", None),
        ("nothing like it", None),
    ],
)
def test_the_right_name_is_suggested_for_a_source_name(name: str, meant: str | None) -> None:
    names = {"dcord": "DCORD#", "company_name": "Company Name", "order_number": "ORDNO"}
    assert suggest(name, names) == meant


def test_destination_names_alone_are_enough_for_a_suggestion() -> None:
    assert suggest("dcord#", ["dcord", "dcotyp"]) == "dcord"
