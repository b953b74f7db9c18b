"""Reads a text frame: the command in it, or why it is none."""

from typing import Any

from chat.protocol import COMMANDS, Frame, FrameId
from core.errors import BadFrame, Invalid
from core.wire import convert, read

_BY_TYPE = {str(command.__struct_config__.tag): command for command in COMMANDS}


def parse(raw: str) -> Frame:
    """The command in a text frame; else `BadFrame` or `Invalid`, with the frame's id as their `frame_id`."""
    frame_id: str | None = None
    try:
        value = read(raw)
        if not isinstance(value, dict):
            raise BadFrame("A frame is a JSON object.")
        frame_id = _id_of(value)
        return convert(value, _command_type(value))
    except (BadFrame, Invalid) as error:
        raise Refused(error, frame_id) from None


def id_of(raw: str) -> str | None:
    """The id of a frame that is not obeyed, as far as it can be read."""
    try:
        value = read(raw)
    except BadFrame:
        return None
    return _id_of(value) if isinstance(value, dict) else None


class Refused(Exception):
    """A frame that could not be read, with its id as far as that could."""

    def __init__(self, error: BadFrame | Invalid, frame_id: str | None) -> None:
        super().__init__(error.detail)
        self.error = error
        self.frame_id = frame_id


def _id_of(value: dict[str, Any]) -> str | None:
    try:
        return convert(value.get("id"), FrameId)
    except (BadFrame, Invalid):
        return None


def _command_type(value: dict[str, Any]) -> type[Frame]:
    name = value.get("type")
    command = _BY_TYPE.get(name) if isinstance(name, str) else None
    if command is None:
        raise BadFrame("type: no such command.")
    return command
