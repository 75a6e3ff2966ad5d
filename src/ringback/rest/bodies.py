"""Request bodies: JSON → a checked `Patch`, with all faults at once.

An attribute that the patch has is converted; one that the record has but cannot be set is passed over, so that a fetched
object can be sent back; any other name is a fault.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType, ValidationError

from ringback.errors import REQUIRED, Fault, Invalid
from ringback.record import MAX_INT, NO_NUL, TEXT_LENGTH, Check, Kind, Patch, Wire, json_text, literals, marks

P = TypeVar("P", bound=Patch)
MAX_ELEMENTS = 1_000
"""Of a bulk PATCH; no list in a record has more either."""
MAX_WORDS = 20
"""Of a closed set, in the text of a fault."""
MAX_DIGITS = len(str(MAX_INT))
MAX_FAULTS = 1_000
"""More are not looked for: an answer must not be many times the size of its request."""


def decode(raw: bytes, patch: type[P], *, partial: bool, ignored: Sequence[str]) -> P:
    """An object; an empty body is an empty object (clients send none where all is optional)."""
    return checked(parsed(raw) if raw.strip() else {}, patch, partial=partial, ignored=ignored)


def checked(content: Any, patch: type[P], *, partial: bool, ignored: Sequence[str]) -> P:
    """What JSON was decoded to, as a patch."""
    if not isinstance(content, dict):
        raise Invalid("The body must be a JSON object.", [Fault(None)])
    reasons: list[tuple[str, str]] = []
    result = _patch(content, patch, "", partial, frozenset(ignored), reasons)
    if result is None or reasons:
        raise _invalid(reasons)
    return result


def decode_query(params: Sequence[tuple[str, str]], patch: type[P]) -> P:
    """The parameters of a query as attributes; digits are a number where one is expected."""
    reasons = [(name, "Given more than once.") for name, n in Counter(name for name, _ in params).items() if n > 1]
    fields = fields_of(patch)
    content = {
        name: _number(text) if name in fields and _takes_number(fields[name][0]) else text for name, text in params
    }
    result = _patch(content, patch, "", False, frozenset(), reasons)
    if result is None or reasons:
        raise _invalid(reasons)
    return result


def _takes_number(hint: Any) -> bool:
    return any(isinstance(mark, Wire) and mark.kind is Kind.INT for mark in marks(hint))


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS else text


def decode_bulk(raw: bytes, patch: type[P], *, ignored: Sequence[str]) -> list[tuple[int, P]]:
    """A JSON array of objects, each with its `id`. Empty elements are skipped; a doubled id is a fault."""
    content = parsed(raw)
    if not isinstance(content, list):
        raise Invalid("The body must be a JSON array of objects, each with its id.", [Fault(None)])
    if len(content) > MAX_ELEMENTS:
        raise Invalid(f"At most {MAX_ELEMENTS} records can be changed at once.", [Fault(None)])
    reasons: list[tuple[str, str]] = []
    found = list(_elements(content, patch, frozenset(ignored), reasons))
    if reasons:
        raise _invalid(reasons)
    return found


def _elements(
    content: list[Any], patch: type[P], ignored: frozenset[str], reasons: list[tuple[str, str]]
) -> Iterator[tuple[int, P]]:
    seen: set[int] = set()
    for index, element in enumerate(content):
        if len(reasons) >= MAX_FAULTS:
            return
        if element in ([], {}):
            continue
        if not isinstance(element, dict):
            reasons.append((f"[{index}]", "Expected an object"))
            continue
        record_id = element.get("id")
        if type(record_id) is not int or not 0 <= record_id <= MAX_INT or record_id in seen:
            reasons.append((f"[{index}].id", "Each element has the id of a record, once"))
            continue
        seen.add(record_id)
        result = _patch(element, patch, f"[{index}].", True, ignored | {"id"}, reasons)
        if result is not None:
            yield record_id, result


def parsed(raw: bytes) -> Any:
    """What JSON says; Invalid when it is none."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"The body is not valid JSON: {error}", [Fault(None, "The body is not valid JSON.")]) from None
    except RecursionError:
        raise Invalid("The body is nested too deeply.", [Fault(None, "The body is nested too deeply.")]) from None


def _patch(
    content: dict[str, Any],
    patch: type[P],
    prefix: str,
    partial: bool,
    ignored: frozenset[str],
    reasons: list[tuple[str, str]],
) -> P | None:
    fields = fields_of(patch)
    python_names = dict(zip(patch.__struct_encode_fields__, patch.__struct_fields__, strict=True))
    before = len(reasons)
    values: dict[str, Any] = {}
    for name, value in content.items():
        if len(reasons) >= MAX_FAULTS:
            return None
        if name in fields:
            values[python_names[name]] = _value(f"{prefix}{name}", value, fields[name][0], reasons)
        elif name not in ignored:
            reasons.append((f"{prefix}{name}", f"Unknown attribute; there are {', '.join(fields)}"))
    for name, (_, required) in fields.items():
        if name not in content:
            values[python_names[name]] = UNSET
            if required and not partial:
                reasons.append((f"{prefix}{name}", REQUIRED))
    return patch(**values) if len(reasons) == before else None


@lru_cache(maxsize=256)
def fields_of(patch: type[Patch]) -> dict[str, tuple[Any, bool]]:
    """Wire name → (type without UNSET, whether POST requires it)."""
    hints = get_type_hints(patch, include_extras=True)
    wire_names = zip(patch.__struct_encode_fields__, patch.__struct_fields__, strict=True)
    required = {each.name for each in msgspec.structs.fields(patch) if each.required}
    return {wire: (_without_unset(hints[name]), name in required) for wire, name in wire_names}


def _without_unset(hint: Any) -> Any:
    parts = [part for part in get_args(hint) if part is not UnsetType]
    if len(parts) == len(get_args(hint)) or get_origin(hint) is Annotated:
        return hint
    whole = parts[0]
    for part in parts[1:]:
        whole = whole | part
    return whole


def _value(path: str, value: Any, hint: Any, reasons: list[tuple[str, str]]) -> Any:
    try:
        converted = _converted(value, hint)
    except ValidationError as error:
        reasons.extend(_faults_within(path, value, hint) or [(path, _expected(hint) or str(error))])
        return None
    if converted == "" and NoneType in get_args(hint):  # unknown is null everywhere, never an empty text
        return None
    if isinstance(converted, str):
        found = (mark.fault(converted) for mark in marks(hint) if isinstance(mark, Check))
        reasons.extend((path, fault) for fault in found if fault)
    if isinstance(converted, dict) and len(json_text(converted) or "") > TEXT_LENGTH:
        reasons.append((path, f"At most {TEXT_LENGTH} characters of JSON"))
    return converted


def _expected(hint: Any) -> str | None:
    """What may stand there, where that is a list of words, or a form that has a description; None where the fault says it."""
    if (words := tuple(literals(hint))) and _element_type(hint) is None:
        more = f" and {len(words) - MAX_WORDS} more" if len(words) > MAX_WORDS else ""
        return f"Expected one of {', '.join(words[:MAX_WORDS])}{more}"
    parts = [part for part in get_args(hint) if part is not NoneType] if _is_union(hint) else [hint]
    forms = [form for part in parts if (form := _form(part, alone=len(parts) == 1))]
    return f"Expected {' or '.join(forms)}" if len(forms) == len(parts) else None


def _form(hint: Any, *, alone: bool) -> str | None:
    """The description of a type: of one that stands alone, only where a pattern is all that the fault would tell."""
    limits = [mark for mark in marks(hint) if isinstance(mark, Meta) and mark.description]
    return next((mark.description for mark in limits if not alone or mark.pattern not in (None, NO_NUL)), None)


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


def _converted(value: Any, hint: Any) -> Any:
    """The value as one of the types of a union. Tried one by one: msgspec 0.22 reads beyond its memory when it converts to
    a union of an object and a text with limits."""
    if not _is_union(hint):
        return msgspec.convert(value, hint, strict=True)
    if value is None and NoneType in get_args(hint):
        return None
    *others, last = [part for part in get_args(hint) if part is not NoneType]
    for part in others:
        try:
            return _converted(value, part)
        except ValidationError:
            continue
    return _converted(value, last)


def _faults_within(path: str, value: Any, hint: Any) -> list[tuple[str, str]]:
    """The faults of a list's elements, each with its index; empty when the fault is the list itself."""
    element = _element_type(hint)
    if element is None or not isinstance(value, list) or len(value) > MAX_ELEMENTS:
        return []
    found: list[tuple[str, str]] = []
    for index, each in enumerate(value):
        _value(f"{path}[{index}]", each, element, found)
    return found


def _element_type(hint: Any) -> Any:
    if get_origin(hint) is Annotated:
        return _element_type(get_args(hint)[0])
    if get_origin(hint) is list:
        return get_args(hint)[0]
    inner = [part for part in get_args(hint) if part is not NoneType]
    return _element_type(inner[0]) if len(inner) == 1 else None


def _invalid(reasons: Sequence[tuple[str, str]]) -> Invalid:
    shown = "; ".join(f"{path}: {reason.removesuffix('.')}" for path, reason in reasons[:5])
    more = f"; and {len(reasons) - 5} more" if len(reasons) > 5 else ""
    return Invalid(f"{Invalid.message}: {shown}{more}", [_fault(*each) for each in reasons[:MAX_FAULTS]])


def _fault(path: str, reason: str) -> Fault:
    return Fault(path, REQUIRED) if reason == REQUIRED else Fault(path)
