"""Destination names of columns: derived from source names, checked, and suggested for source names."""

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
def test_a_source_name_becomes_a_lower_case_identifier(name: str, expected: str) -> None:
    assert safe_alias(name) == expected


@given(st.text())
def test_any_text_becomes_an_identifier_that_is_its_own_alias(name: str) -> None:
    alias = safe_alias(name)
    assert re.fullmatch(r"[a-z_][a-z0-9_]*", alias)
    assert safe_alias(alias) == alias


def test_two_names_that_differ_only_in_case_are_refused_and_both_are_named() -> None:
    with pytest.raises(ConfigurationInvalid, match="Columns 1 and 3 .*“dcord” and “Dcord”"):
        check_names(["dcord", "a", "Dcord"])


def test_an_empty_name_and_a_name_over_63_bytes_are_refused() -> None:
    check_names(["x" * 63, "é" * 31])
    for name in ("x" * 64, "é" * 32, ""):
        with pytest.raises(ConfigurationInvalid, match="column 1"):
            check_names([name])


@pytest.mark.parametrize(
    ("name", "expected"),
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
def test_the_destination_name_is_suggested_for_a_source_name(name: str, expected: str | None) -> None:
    names = {"dcord": "DCORD#", "company_name": "Company Name", "order_number": "ORDNO"}
    assert suggest(name, names) == expected


def test_a_name_is_suggested_without_knowing_the_source_names() -> None:
    assert suggest("dcord#", ["dcord", "dcotyp"]) == "dcord"
