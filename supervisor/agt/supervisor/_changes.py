"""What differs between two views, and how it is put back together.

A view is a few kilobytes and changes in one or two sections at a time, so the stream sends a snapshot and then
only the top-level sections that changed. Server and client share this one file; a section that the reader does
not know (a newer supervisor) is ignored.
"""

from typing import Any, Final

import msgspec

from agt.supervisor.view import View

_FIELDS: Final = {field.name: field for field in msgspec.structs.fields(View)}
_ALWAYS: Final = ("version", "at")
_DECODERS: Final = {name: msgspec.json.Decoder(field.type) for name, field in _FIELDS.items()}
_RAW: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_VIEW: Final = msgspec.json.Decoder(View)
_TOO_DEEP: Final = "nested too deeply"


def changed_sections(old: View, new: View) -> dict[str, Any]:
    """Return version, time and every section of `new` that differs from `old`."""
    changed = {name: getattr(new, name) for name in _ALWAYS}
    for name in _FIELDS:
        value = getattr(new, name)
        if value is not getattr(old, name) and value != getattr(old, name):
            changed[name] = value
    return changed


def merge_change(view: View, change: bytes | str) -> View:
    """Return the view with a change (JSON, as the stream sends it) put in.

    Raises:
        msgspec.DecodeError: When it is no JSON object, or a section has another shape (`ValidationError`).
    """
    try:
        sections = {name: _DECODERS[name].decode(raw) for name, raw in _RAW.decode(change).items() if name in _FIELDS}
    except RecursionError as error:
        raise msgspec.DecodeError(_TOO_DEEP) from error
    return msgspec.structs.replace(view, **sections)


def decode_view(snapshot: bytes | str) -> View:
    """Return the view of a snapshot (JSON).

    Raises:
        msgspec.DecodeError: When it is not a view.
    """
    try:
        return _VIEW.decode(snapshot)
    except RecursionError as error:
        raise msgspec.DecodeError(_TOO_DEEP) from error
