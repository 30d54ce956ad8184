"""What botocore's model of a service says of a request: members, required ones, types, lengths, patterns, enums.

botocore itself checks less before it sends: patterns and enums are left to the service.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import botocore.session

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "list": (list,),
    "structure": (dict,),
    "map": (dict,),
    "timestamp": (str, int, float),
    "double": (int, float),
}


@functools.cache
def service(name: str) -> Any:
    """Give the model of a service."""
    return botocore.session.get_session().get_service_model(name)


def faults(shape: Any, value: Any, place: str = "", *, empty: bool = False) -> Iterator[str]:
    """Name everything in which a value is not of its shape; `place` is where it stands. With `empty` a list may be:
    services answer with none of something, whatever the model says."""
    fits = isinstance(value, _TYPES[shape.type_name]) and (shape.type_name == "boolean" or not isinstance(value, bool))
    if not fits:
        yield f"{place}: {value!r} is no {shape.type_name}"
        return
    size = value if isinstance(value, (int, float)) else len(value)
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if empty and value == []:
        return
    if (least is not None and size < least) or (most is not None and size > most):
        yield f"{place}: {value!r} is not from {least} to {most}"
    if shape.type_name == "structure":
        yield from (f"{place}.{name} is missing" for name in shape.required_members if name not in value)
        for name, inner in value.items():
            if name not in shape.members:
                yield f"{place}.{name} is not known"
            else:
                yield from faults(shape.members[name], inner, f"{place}.{name}", empty=empty)
    elif shape.type_name == "list":
        for number, inner in enumerate(value):
            yield from faults(shape.member, inner, f"{place}[{number}]", empty=empty)
    elif shape.type_name == "string":
        if (pattern := shape.metadata.get("pattern")) and not re.search(pattern, value):
            yield f"{place}: {value!r} does not match {pattern}"
        if (choices := shape.metadata.get("enum")) and value not in choices:
            yield f"{place}: {value!r} is none of {choices}"
