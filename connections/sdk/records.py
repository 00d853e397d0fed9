"""A `dataclass` decorator that defines classes faster than the standard library's.

It is for classes that are defined whenever a run, a tick or jrunner starts. The standard library compiles up to six
methods for each class: for a hundred classes a tenth of the time of a small run. Here a class gets closures instead;
creating an instance takes a little longer. There is no ``InitVar``, no ``__post_init__`` and no order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

_Methods = dict[str, Callable[..., Any] | None]

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, slots=False, kw_only=False, eq=True):
        """Add a dataclass's fields and methods to a class, except for methods that the class defines itself.

        Raises TypeError for a class with ``__post_init__``, which would not be called.
        """

        def decorate(cls):
            if hasattr(cls, "__post_init__"):
                raise TypeError(f"{cls.__qualname__} has __post_init__: use the standard library's dataclass")
            # the standard library refuses a class that is frozen unlike its base
            has_frozen_base = any(_is_frozen(base) for base in cls.__mro__[1:])
            # its fields, its slots, and what dataclasses.replace() and the like look for
            cls = dataclasses.dataclass(
                init=False, repr=False, eq=False, slots=slots, kw_only=kw_only, frozen=frozen and has_frozen_base
            )(cls)
            cls.__dataclass_params__.frozen = frozen
            methods = {"__init__": _init(cls), "__repr__": _repr}
            if eq:
                methods |= _comparison(cls, frozen=frozen)
            if frozen:
                methods |= {"__setattr__": _refuse, "__delattr__": _refuse, "__setstate__": _set_state}
            for name, method in methods.items():
                # a class that defines __eq__ has the __hash__ None
                if cls.__dict__.get(name) is None:
                    setattr(cls, name, method)
            return cls

        return decorate if cls is None else decorate(cls)


def _is_frozen(cls: Any) -> bool:
    return getattr(cls.__dict__.get("__dataclass_params__"), "frozen", False)


def _init(cls: Any) -> Callable[..., None]:
    """Return ``__init__``, which takes the fields by position or name."""
    fields = dataclasses.fields(cls)
    positional = [field.name for field in fields if field.init and not field.kw_only]
    by_name = {field.name for field in fields if field.init}
    plan = [(field.name, field.default, field.default_factory) for field in fields]
    missing, set_value = dataclasses.MISSING, object.__setattr__

    def __init__(self: Any, /, *arguments: Any, **values: Any) -> None:
        if arguments:
            if len(arguments) > len(positional):
                raise TypeError(f"{cls.__qualname__}() takes {len(positional)} positional arguments")
            if twice := values.keys() & set(positional[: len(arguments)]):
                raise TypeError(f"{cls.__qualname__}() got multiple values for {', '.join(sorted(twice))}")
            values.update(zip(positional, arguments, strict=False))
        if not values.keys() <= by_name:
            unknown = ", ".join(sorted(values.keys() - by_name))
            raise TypeError(f"{cls.__qualname__}() got an unexpected keyword argument: {unknown}")
        for name, default, factory in plan:
            if name in values:
                set_value(self, name, values[name])
            elif default is not missing:
                set_value(self, name, default)
            elif factory is not missing:
                set_value(self, name, factory())
            else:
                raise TypeError(f"{cls.__qualname__}() is missing the argument {name}")

    return __init__


def _comparison(cls: Any, *, frozen: bool) -> _Methods:
    names = [field.name for field in dataclasses.fields(cls) if field.compare]
    values: Callable[[Any], Any] = attrgetter(*names) if names else lambda self: ()

    def __eq__(self: Any, other: object) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(values(self))

    return {"__eq__": __eq__, "__hash__": __hash__ if frozen else None}


def _repr(self: Any) -> str:
    shown = [field.name for field in dataclasses.fields(self) if field.repr]
    return f"{self.__class__.__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


def _refuse(self: Any, name: str, *_: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot change field {name!r}")


def _set_state(self: Any, state: Any) -> None:
    """Set the fields of a copy, from what ``object.__getstate__`` returns."""
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    for name, value in {**(attributes or {}), **(slots or {})}.items():
        object.__setattr__(self, name, value)
