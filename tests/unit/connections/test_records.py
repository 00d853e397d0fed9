"""Tests of `connections.sdk.records`: its dataclasses behave as those of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, field, fields, replace
from typing import Any

import pytest

from connections.sdk import records

OPTIONS = [
    {"frozen": True, "slots": True, "kw_only": True},
    {"frozen": True, "slots": True},
    {"slots": True},
    {"kw_only": True},
]


def made(decorator: Callable[..., Any], options: dict[str, bool]) -> Any:
    """Return a dataclass with the kinds of fields that Pipekit uses."""

    @decorator(**options)
    class Made:
        """A class for tests."""

        name: str
        size: int = 1
        tags: list[str] = field(default_factory=list)
        secret: str = field(default="", repr=False)
        note: str = field(default="", compare=False)
        total: int = field(default=0, init=False)

    return Made


@pytest.fixture(params=OPTIONS, ids=lambda options: " ".join(options))
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """Return the class as this module and as the standard library make it."""
    return made(records.dataclass, request.param), made(dataclasses.dataclass, request.param)


@records.dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A class that can be pickled, as it has a name in its module."""

    name: str
    size: int = 1


@records.dataclass(frozen=True, slots=True, kw_only=True)
class Derived(Base):
    """A class with one more field, and its own text."""

    more: str

    def __repr__(self) -> str:
        return self.more


def test_instances_have_the_same_values_and_texts(pair: tuple[Any, Any]) -> None:
    for values in ({"name": "a"}, {"name": "a", "size": 2, "tags": ["x"], "secret": "s", "note": "n"}):
        own, standard = (cls(**values) for cls in pair)
        assert asdict(own) == asdict(standard)
        assert repr(own) == repr(standard)
        assert "s'" not in repr(own)
        assert asdict(replace(own, size=3)) == asdict(replace(standard, size=3))
        assert [one.name for one in fields(own)] == [one.name for one in fields(standard)]


def test_instances_are_compared_alike(pair: tuple[Any, Any]) -> None:
    for cls in pair:
        assert cls(name="a") == cls(name="a", note="not compared")
        assert cls(name="a") != cls(name="b")
        assert cls(name="a") != "a"
    assert pair[0](name="a") != pair[1](name="a")


def test_defaults_are_not_shared(pair: tuple[Any, Any]) -> None:
    first, second = pair[0](name="a"), pair[0](name="a")
    first.tags.append("x")
    assert second.tags == []


@pytest.mark.parametrize("values", [{}, {"name": "a", "other": 1}, {"name": "a", "total": 1}])
def test_missing_and_unknown_names_raise_a_type_error(pair: tuple[Any, Any], values: dict[str, Any]) -> None:
    for cls in pair:
        with pytest.raises(TypeError):
            cls(**values)


@pytest.mark.parametrize(("options", "allowed"), [({"slots": True}, True), ({"kw_only": True}, False)])
def test_values_by_position(options: dict[str, bool], allowed: bool) -> None:
    for decorator in (records.dataclass, dataclasses.dataclass):
        cls: Any = made(decorator, options)
        if allowed:
            assert (cls("a", 2).name, cls("a", 2).size, cls("a", size=3).size) == ("a", 2, 3)
            with pytest.raises(TypeError):
                cls("a", name="b")
            with pytest.raises(TypeError):
                cls("a", 1, [], "", "", 0)
        else:
            with pytest.raises(TypeError):
                cls("a")


def test_a_frozen_instance_cannot_be_changed_and_has_a_hash() -> None:
    one = Base(name="a")
    with pytest.raises(FrozenInstanceError):
        one.name = "b"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del one.name
    assert {one, Base(name="a"), Base(name="b")} == {one, Base(name="b")}


def test_an_instance_that_can_be_changed_has_no_hash() -> None:
    cls = made(records.dataclass, {"slots": True})
    one = cls(name="a")
    one.size = 5
    assert one.size == 5
    with pytest.raises(TypeError):
        hash(one)


def test_slots_leave_no_dictionary() -> None:
    assert not hasattr(Base(name="a"), "__dict__")


def test_a_derived_class_has_the_fields_of_its_base_and_its_own_methods() -> None:
    one = Derived(name="a", more="m")
    assert (one.name, one.size, repr(one)) == ("a", 1, "m")
    assert one != Base(name="a")


def test_dataclasses_of_the_standard_library_may_derive_from_frozen_ones() -> None:
    @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
    class Standard(Base):
        """A class of a connector from another package."""

        more: str

    one = Standard(name="a", more="m")
    assert (one.name, one.size, one.more) == ("a", 1, "m")
    with pytest.raises(FrozenInstanceError):
        one.name = "b"  # type: ignore[misc]


def test_copies_are_equal() -> None:
    one = Derived(name="a", more="m")
    assert copy.copy(one) == copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one


def test_a_class_with_post_init_is_refused() -> None:
    with pytest.raises(TypeError, match="__post_init__"):

        @records.dataclass
        class Checked:
            name: str

            def __post_init__(self) -> None:
                raise AssertionError("never called")
