"""msgspec structs generated from pydantic models, which they can therefore not part from.

Types and bounds of a field become those of the struct; its validators are the model's, and its methods the model's own
functions. A declaration that has no exact counterpart is an error when the model is declared. What msgspec checks
itself takes a quarter of a microsecond a row; what it does not know is left to a function that finishes the value.
"""

import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from inspect import isfunction
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin
from uuid import UUID

import msgspec
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import AfterValidator, BaseModel, BeforeValidator, Strict, StringConstraints, WrapValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typing_extensions import TypeAliasType

from app.api.documents import RULES, check_document, document_text
from app.api.fields import Body, json_text
from app.api.rows import judge_alone
from app.web.params import WHOLE

Finish: TypeAlias = Callable[[Any], Any]
"""What is left to do with a decoded value: it returns the field's value, and raises ValueError for an odd one."""
Form: TypeAlias = tuple[Any, Finish | None]

_MAX_KEY_LENGTH: Final = RULES.max_key_bytes // 4
"""The characters that a key may have whatever they are: each takes up to four bytes."""
_PLAIN: Final = (str, int, float, bool)
_UPPER: Final = frozenset({"le", "lt", "max_length"})
_BOUNDS: Final = {
    Ge: {"ge"},
    Gt: {"gt"},
    Le: {"le"},
    Lt: {"lt"},
    MinLen: {"min_length"},
    MaxLen: {"max_length"},
    StringConstraints: {"min_length", "max_length"},
}


def struct_of(model: type[BaseModel], tag_field: str | None = None) -> Form:
    """Generate the struct of a model. In a union its `tag_field` tells it from the others."""
    if model.model_config.get("extra") != "forbid" or not model.model_config.get("strict"):
        raise TypeError(f"{model.__name__} is not strict, or takes unknown fields")
    of_fields = _field_validators(model)
    declared: list[tuple[Any, ...]] = []
    checks: list[tuple[str, Finish]] = []
    for name, field in model.model_fields.items():
        if name == tag_field:
            continue
        if field.alias or field.validation_alias or field.default_factory or field.validate_default:
            raise TypeError(f"{model.__name__}.{name} has an alias, or a default that is computed or validated")
        kind, finish = _constrained(field.annotation, [*field.metadata, *_discriminators(field)])
        finish = _chain(finish, of_fields.get(name, ()))
        declared.append((name, kind) if field.default is PydanticUndefined else (name, kind, field.default))
        if finish is not None:
            checks.append((name, finish))
    struct = msgspec.defstruct(
        model.__name__,
        declared,
        namespace=_methods(model),
        tag_field=tag_field,
        tag=None if tag_field is None else get_args(model.model_fields[tag_field].annotation)[0],
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
    )
    return struct, _finish_struct(checks, [found.func for found in _model_validators(model)])


def _finish_struct(checks: list[tuple[str, Finish]], agreements: list[Finish]) -> Finish | None:
    if not checks and not agreements:
        return None

    def finish(value: Any) -> Any:
        for name, check in checks:
            found = getattr(value, name)
            if found is not None:
                setattr(value, name, check(found))
        for agree in agreements:
            agree(value)
        return value

    return finish


def _methods(model: type[BaseModel]) -> dict[str, Any]:
    """Return what a model's code can do beside its validators, to be the struct's as well."""
    own = (base for base in reversed(model.__mro__) if issubclass(base, Body) and base is not Body)
    found = (each for base in own for each in vars(base).items())
    return {name: value for name, value in found if isfunction(value) and not name.startswith("_")}


def _model_validators(model: type[BaseModel]) -> list[Any]:
    found = model.__pydantic_decorators__
    others = (found.validators, found.root_validators, found.model_serializers, found.field_serializers)
    if any(others) or any(each.info.mode != "after" for each in found.model_validators.values()):
        raise TypeError(f"{model.__name__} has validators that see more than fields")
    return list(found.model_validators.values())


def _field_validators(model: type[BaseModel]) -> dict[str, list[Finish]]:
    """Return the validators of fields, which see the finished value. None is passed over here: they must take it."""
    by_field: dict[str, list[Finish]] = {}
    for found in model.__pydantic_decorators__.field_validators.values():
        if found.info.mode != "after" or found.func(None) is not None:
            raise TypeError(f"{model.__name__} has a validator that changes what is not validated yet, or null")
        for name in found.info.fields:
            by_field.setdefault(name, []).append(found.func)
    return by_field


def _discriminators(field: FieldInfo) -> list[FieldInfo]:
    return [] if field.discriminator is None else [field]


def _form(annotation: Any) -> Form:
    """Return the type that msgspec decodes for an annotation, and what is left to do with its values."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, TypeAliasType):
        return _form(annotation.__value__)
    if origin is Annotated:
        return _constrained(arguments[0], arguments[1:])
    if annotation is Any:
        return Any, check_document
    if annotation in _PLAIN or origin is Literal:
        return annotation, None
    if (plain := _without_none(annotation)) is not None:
        kind, finish = _form(plain)
        return Union[kind, None], finish  # noqa: UP007 - a type that is not known here
    if origin is list:
        kind, finish = _form(arguments[0])
        return list[kind], finish and _each(finish)  # type: ignore[valid-type]
    if origin is dict:
        key, of_keys = _form(Annotated[arguments[0], MaxLen(_MAX_KEY_LENGTH)])
        value, of_values = _form(arguments[1])
        if of_keys is None and of_values is None:
            return dict[key, value], None  # type: ignore[valid-type]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return struct_of(annotation)
    raise TypeError(f"{annotation} cannot be read by type")


def _without_none(annotation: Any) -> Any | None:
    """Return the one type that an annotation allows beside None."""
    arguments = get_args(annotation)
    is_optional = get_origin(annotation) in (Union, types.UnionType) and arguments[1:] == (types.NoneType,)
    return arguments[0] if is_optional else None


def _constrained(base: Any, metadata: Iterable[Any]) -> Form:
    """Return the form of a type with what its declaration says of it."""
    marks = list(_flat(metadata))
    if tags := [mark.discriminator for mark in marks if isinstance(mark, FieldInfo)]:
        return _tagged(get_args(base), str(tags[0]))
    if marks and (plain := _without_none(base)) is not None:
        if any(isinstance(mark, BeforeValidator | AfterValidator) for mark in marks):
            raise TypeError(f"{base} has a validator that sees null")
        kind, finish = _constrained(plain, marks)
        return Union[kind, None], finish  # noqa: UP007 - a type that is not known here
    before = [mark.func for mark in marks if isinstance(mark, BeforeValidator) and mark is not WHOLE]
    after: list[Any] = [mark.func for mark in marks if isinstance(mark, AfterValidator)]
    if base in (datetime, UUID) and before:
        # Their validators read the text themselves.
        kind, finish = str, None
        after = [*before, *after]
    elif base is Any and after == [json_text]:
        return Any, document_text
    elif isinstance(base, type) and issubclass(base, StrEnum) and Strict(strict=False) in marks:
        kind, finish = base, None
    elif before:
        raise TypeError(f"{base} has a validator that sees what was sent")
    else:
        kind, finish = _form(base)
    if kind is str and base is not UUID:
        # Names and times are often the same all through a batch.
        after = [lru_cache(1024)(each) for each in after]
    bounds = _bounds_of(marks)
    return (Annotated[kind, msgspec.Meta(**bounds)] if bounds else kind), _chain(finish, after)


def _tagged(models: Iterable[type[BaseModel]], tag_field: str) -> Form:
    forms = [struct_of(model, tag_field) for model in models]
    finishes = {kind: finish for kind, finish in forms if finish is not None}

    def finish(value: Any) -> Any:
        found = finishes.get(type(value))
        return value if found is None else found(value)

    return Union[tuple(kind for kind, _ in forms)], finish  # noqa: UP007 - a union of a tuple


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    """Yield each mark of a declaration, those that stand in a `Field` as well."""
    for mark in metadata:
        if isinstance(mark, FieldInfo):
            yield from mark.metadata
            yield from _discriminators(mark)
        elif not (isinstance(mark, WrapValidator) and mark.func is judge_alone):
            # A row that is judged alone is what its validator makes of it; a bad one makes the whole body odd.
            yield mark


def _bounds_of(marks: list[Any]) -> dict[str, Any]:
    """Return the bounds of a declaration, of several of one kind the narrowest."""
    bounds: dict[str, Any] = {}
    for mark in marks:
        if isinstance(mark, BeforeValidator | AfterValidator | Strict):
            continue
        names = _BOUNDS.get(type(mark))
        if names is None:
            raise TypeError(f"{mark} has no counterpart")
        found = {each.name: value for each in fields(mark) if (value := getattr(mark, each.name)) is not None}
        if not found.keys() <= names:
            raise TypeError(f"{mark} has no counterpart")
        for name, value in found.items():
            narrower = min if name in _UPPER else max
            bounds[name] = narrower(value, bounds.get(name, value))
    return bounds


def _chain(first: Finish | None, more: Iterable[Finish]) -> Finish | None:
    steps = [*([] if first is None else [first]), *more]
    if len(steps) < 2:
        return steps[0] if steps else None

    def finish(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return finish


def _each(finish: Finish) -> Finish:
    return lambda values: [finish(value) for value in values]
