"""Reactions: add and remove. The message's own summary moves with the rows."""

import re
import unicodedata
from typing import Any
from uuid import UUID

from chat.models import Message, Reaction
from chat.services.finding import find_message
from chat.services.messages import stamp
from chat.writer import in_turn
from core.db import transactional
from core.errors import Conflict, Invalid
from tenants.actor import Actor
from tenants.permissions import Verb

EMOJI_A_MESSAGE = 20
USERS_SHOWN = 20
_CODE_POINTS = 16
_PICTURES = {"So", "Sk", "Sm"}
_JOINERS = {"Mn", "Me", "Cf"}
_KEYCAP = re.compile("[0-9#*]\ufe0f?\u20e3")


def checked_emoji(emoji: str) -> str:
    """One emoji, not text: at least one pictograph, and nothing but pictographs and what joins them."""
    kinds = {"So" if character in "‼⁉" else unicodedata.category(character) for character in emoji}
    drawn = not emoji.isascii() and kinds & _PICTURES and kinds <= _PICTURES | _JOINERS
    if not (drawn or _KEYCAP.fullmatch(emoji)) or len(emoji) > _CODE_POINTS:
        raise Invalid("emoji: not an emoji.", errors={"emoji": ["Not an emoji."]})
    return emoji


@in_turn
@transactional
def add_reaction(actor: Actor, *, message: UUID, emoji: str) -> Message:
    """React once with this emoji; again changes nothing."""
    checked_emoji(emoji)
    found, target = find_message(actor, message)
    found.require(Verb.MESSAGE_REACT)
    if target.deleted_at is not None:
        raise Conflict("The message has been deleted.")
    summary = _entry(target, emoji)
    if summary is None and len(target.reactions) >= EMOJI_A_MESSAGE:
        raise Invalid(f"A message takes {EMOJI_A_MESSAGE} different emoji at most.")
    _, new = Reaction.objects.get_or_create(
        message=target, user_id=actor.user, emoji=emoji, defaults={"tenant_id": target.tenant_id}
    )
    if not new:
        return target
    if summary is None:
        summary = {"emoji": emoji, "count": 0, "users": []}
        target.reactions.append(summary)
    summary["count"] += 1
    if len(summary["users"]) < USERS_SHOWN:
        summary["users"].append(str(actor.user))
    return stamp(found, target, "reactions")


@in_turn
@transactional
def remove_reaction(actor: Actor, *, message: UUID, emoji: str) -> Message:
    """Take one's reaction back; where there is none, nothing changes."""
    found, target = find_message(actor, message)
    found.require(Verb.MESSAGE_REACT)
    gone, _ = Reaction.objects.filter(message=target, user=actor.user, emoji=emoji).delete()
    summary = _entry(target, emoji)
    if not gone or summary is None:
        return target
    left = Reaction.objects.filter(message=target, emoji=emoji).order_by("pk").values_list("user_id", flat=True)
    summary["count"] -= 1
    summary["users"] = [str(user) for user in left[:USERS_SHOWN]]
    target.reactions = [entry for entry in target.reactions if entry["count"] > 0]
    return stamp(found, target, "reactions")


def _entry(message: Message, emoji: str) -> dict[str, Any] | None:
    return next((entry for entry in message.reactions if entry["emoji"] == emoji), None)
