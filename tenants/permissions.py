"""The permission table: who may do what. Nothing else in the product decides.

A rule is a pure function of the actor's role and of facts that the caller has loaded; rules never query.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from core.errors import Forbidden
from tenants.roles import Posting, Role, RoomKind, RoomRole


class Verb(StrEnum):
    TENANT_SEE = "tenant.see"
    TENANT_CHANGE = "tenant.change"
    ROLE_SEE = "role.see"
    ROLE_CHANGE = "role.change"
    SEAT_SEE = "seat.see"
    SEAT_EMAIL_SEE = "seat.email.see"
    SEAT_CHANGE_ROLE = "seat.change_role"
    SEAT_SUSPEND = "seat.suspend"
    SEAT_EXPIRE = "seat.expire"
    SEAT_REMOVE = "seat.remove"
    SEAT_LEAVE = "seat.leave"
    SEAT_TRANSFER = "seat.transfer"
    PERMISSION_EXPLAIN = "permission.explain"
    INVITATION_SEE = "invitation.see"
    INVITATION_CREATE = "invitation.create"
    INVITATION_REVOKE = "invitation.revoke"
    ROOM_SEE = "room.see"
    ROOM_CREATE = "room.create"
    ROOM_DIRECT = "room.direct"
    ROOM_CHANGE = "room.change"
    ROOM_ARCHIVE = "room.archive"
    ROOM_JOIN = "room.join"
    ROOM_ENTER = "room.enter"
    ROOM_LEAVE = "room.leave"
    ROOM_MEMBER_SEE = "room.member.see"
    ROOM_MEMBER_ADD = "room.member.add"
    ROOM_MEMBER_CHANGE = "room.member.change"
    ROOM_MEMBER_REMOVE = "room.member.remove"
    MESSAGE_SEE = "message.see"
    MESSAGE_SEND = "message.send"
    MESSAGE_EDIT = "message.edit"
    MESSAGE_DELETE = "message.delete"
    MESSAGE_REACT = "message.react"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a rule may look at. Only what the verb is about needs to be loaded; the defaults refuse."""

    kind: RoomKind | None = None
    room_role: RoomRole | None = None
    """The actor's role in the room; None outside."""
    posting: Posting = Posting.MODERATORS
    archived: bool = False
    own: bool = False
    """The thing acted on is the actor's own: their message, seat or invitation."""
    shared: bool = False
    """The actor and everyone acted on have a room in common."""
    target: Role | None = None
    """The role of the seat acted on, or the role that would be changed."""
    grant: Role | None = None
    """The role that would be given."""
    exceeds: bool = True
    """That role may do something that the actor's may not."""
    last_owner: bool = True


Rule = Callable[[Role, Facts], bool]


def no(_role: Role, _facts: Facts) -> bool:
    """Not with this role."""
    return False


def yes(_role: Role, _facts: Facts) -> bool:
    """Always, with this role."""
    return True


def inside(_role: Role, facts: Facts) -> bool:
    """As a member of the room."""
    return facts.room_role is not None


def visible(_role: Role, facts: Facts) -> bool:
    """As a member of the room, or where the room is open."""
    return facts.room_role is not None or facts.kind is RoomKind.OPEN


def known(_role: Role, facts: Facts) -> bool:
    """As a member of the room, or where it is not a direct conversation (name, topic and members only)."""
    return facts.room_role is not None or facts.kind in (RoomKind.OPEN, RoomKind.PRIVATE)


def speaks(_role: Role, facts: Facts) -> bool:
    """As a member of the room who is more than a reader, while it is not archived."""
    return facts.room_role in (RoomRole.MEMBER, RoomRole.MODERATOR) and not facts.archived


def writer(role: Role, facts: Facts) -> bool:
    """As one who may speak, where the room's posting policy lets them."""
    return speaks(role, facts) and (facts.posting is Posting.EVERYONE or facts.room_role is RoomRole.MODERATOR)


def mine(_role: Role, facts: Facts) -> bool:
    """One's own message, as a member of the room, while it is not archived."""
    return facts.own and facts.room_role is not None and not facts.archived


def tidies(role: Role, facts: Facts) -> bool:
    """One's own message, or any as the room's moderator, while the room is not archived."""
    return mine(role, facts) or (facts.room_role is RoomRole.MODERATOR and not facts.archived)


def polices(_role: Role, facts: Facts) -> bool:
    """Any message of a room one is a member of, while it is not archived."""
    return facts.room_role is not None and not facts.archived


def runs(_role: Role, facts: Facts) -> bool:
    """As the room's moderator."""
    return facts.room_role is RoomRole.MODERATOR


def manages(_role: Role, facts: Facts) -> bool:
    """Every room but direct conversations, without thereby reading it."""
    return facts.kind in (RoomKind.OPEN, RoomKind.PRIVATE)


def opens(_role: Role, facts: Facts) -> bool:
    """An open room that is not archived."""
    return facts.kind is RoomKind.OPEN and not facts.archived


def enters(_role: Role, facts: Facts) -> bool:
    """A private room that is not archived: visibly, and from now on."""
    return facts.kind is RoomKind.PRIVATE and not facts.archived


def leaves(_role: Role, facts: Facts) -> bool:
    """A room one is a member of, unless it is a direct conversation."""
    return facts.room_role is not None and facts.kind in (RoomKind.OPEN, RoomKind.PRIVATE)


def shared(_role: Role, facts: Facts) -> bool:
    """Oneself, and people one shares a room with."""
    return facts.own or facts.shared


def below(role: Role, facts: Facts) -> bool:
    """A seat or role of a lower rank, and never given a role above one's own, or one that may do what one may not."""
    if facts.target is None or facts.target.rank >= role.rank:
        return False
    return facts.grant is None or grants(role, facts)


def grants(role: Role, facts: Facts) -> bool:
    """With a role no higher than one's own, that may do nothing that one may not."""
    return facts.grant is not None and facts.grant.rank <= role.rank and not facts.exceeds


def own(_role: Role, facts: Facts) -> bool:
    """One's own."""
    return facts.own


def own_or_below(role: Role, facts: Facts) -> bool:
    """Oneself, or a seat of a lower rank."""
    return facts.own or below(role, facts)


def succeeded(_role: Role, facts: Facts) -> bool:
    """Where another owner remains."""
    return not facts.last_owner


Cells = tuple[Rule, Rule, Rule, Rule, Rule]

TABLE: dict[Verb, Cells] = {
    #                          GUEST    MEMBER   MODERATOR ADMIN    OWNER
    Verb.TENANT_SEE:          (yes,     yes,     yes,      yes,     yes),
    Verb.TENANT_CHANGE:       (no,      no,      no,       yes,     yes),
    Verb.ROLE_SEE:            (no,      yes,     yes,      yes,     yes),
    Verb.ROLE_CHANGE:         (no,      no,      no,       below,   below),
    Verb.SEAT_SEE:            (shared,  yes,     yes,      yes,     yes),
    Verb.SEAT_EMAIL_SEE:      (own,     own,     own,      yes,     yes),
    Verb.SEAT_CHANGE_ROLE:    (no,      no,      no,       below,   below),
    Verb.SEAT_SUSPEND:        (no,      no,      no,       below,   below),
    Verb.SEAT_EXPIRE:         (no,      no,      no,       below,   below),
    Verb.SEAT_REMOVE:         (no,      no,      no,       below,   below),
    Verb.SEAT_LEAVE:          (yes,     yes,     yes,      yes,     succeeded),
    Verb.SEAT_TRANSFER:       (no,      no,      no,       no,      below),
    Verb.PERMISSION_EXPLAIN:  (own,     own,     own,      own_or_below, own_or_below),
    Verb.INVITATION_SEE:      (no,      no,      own,      yes,     yes),
    Verb.INVITATION_CREATE:   (no,      no,      grants,   grants,  grants),
    Verb.INVITATION_REVOKE:   (no,      no,      own,      yes,     yes),
    Verb.ROOM_SEE:            (inside,  visible, visible,  known,   known),
    Verb.ROOM_CREATE:         (no,      yes,     yes,      yes,     yes),
    Verb.ROOM_DIRECT:         (shared,  yes,     yes,      yes,     yes),
    Verb.ROOM_CHANGE:         (no,      runs,    runs,     manages, manages),
    Verb.ROOM_ARCHIVE:        (no,      runs,    runs,     manages, manages),
    Verb.ROOM_JOIN:           (no,      opens,   opens,    opens,   opens),
    Verb.ROOM_ENTER:          (no,      no,      no,       enters,  enters),
    Verb.ROOM_LEAVE:          (leaves,  leaves,  leaves,   leaves,  leaves),
    Verb.ROOM_MEMBER_SEE:     (inside,  visible, visible,  known,   known),
    Verb.ROOM_MEMBER_ADD:     (no,      runs,    runs,     manages, manages),
    Verb.ROOM_MEMBER_CHANGE:  (no,      runs,    runs,     manages, manages),
    Verb.ROOM_MEMBER_REMOVE:  (no,      runs,    runs,     manages, manages),
    Verb.MESSAGE_SEE:         (inside,  inside,  inside,   inside,  inside),
    Verb.MESSAGE_SEND:        (writer,  writer,  writer,   writer,  writer),
    Verb.MESSAGE_EDIT:        (mine,    mine,    mine,     mine,    mine),
    Verb.MESSAGE_DELETE:      (tidies,  tidies,  polices,  polices, polices),
    Verb.MESSAGE_REACT:       (speaks,  speaks,  speaks,   speaks,  speaks),
}  # fmt: skip


FIXED = frozenset(
    {verb for verb in Verb if verb.endswith(".see") and verb is not Verb.SEAT_EMAIL_SEE}
    | {Verb.SEAT_LEAVE, Verb.SEAT_TRANSFER, Verb.ROOM_LEAVE}
)
"""No organization changes these: the queries restate what is seen, nobody is kept from leaving, and an organization is
handed on by its owners only."""
OPTIONS: dict[Verb, dict[str, Rule]] = {
    verb: {rule.__name__: rule for rule in ((), (no, *cells))[verb not in FIXED]} for verb, cells in TABLE.items()
}
"""By verb and name, the rules from which an organization may choose."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a verb is allowed or refused: which cell decided, and where the cell comes from."""

    allowed: bool
    verb: Verb
    tenant_role: str
    room_role: RoomRole | None
    rule: str
    source: str
    because: tuple[str, ...]


def rule_for(role: Role, verb: Verb) -> Rule:
    """The organization's cell, or that of the role's base in the table."""
    for changed, name in role.changed:
        if changed == verb:
            return OPTIONS[verb][name]
    return TABLE[verb][role.base.place]


def allows(role: Role, verb: Verb, facts: Facts) -> bool:
    return rule_for(role, verb)(role, facts)


def require(role: Role, verb: Verb, facts: Facts) -> None:
    """Raise `Forbidden`, in words that say what would be needed, unless the table allows it."""
    rule = rule_for(role, verb)
    if not rule(role, facts):
        raise Forbidden(_refusal(role, verb, rule))


def explain(role: Role, verb: Verb, facts: Facts) -> Explanation:
    """The decision for these facts and the chain of reasons, in plain words."""
    rule = rule_for(role, verb)
    allowed = rule(role, facts)
    source = "organization" if verb in dict(role.changed) else "default"
    place = f"{facts.room_role} of the room" if facts.room_role else "outside the room"
    based = "" if role.builtin else f", based on {role.base}"
    because = [f"The seat's role is {role}{based}.", f"For {role}, {verb} is allowed: {words_of(rule)}"]
    if source == "organization":
        because.append("The organization chose this rule; the default is another one.")
    if facts.kind is not None:
        state = ", archived" if facts.archived else ""
        because.append(f"The room is {facts.kind}{state}, posting by {facts.posting}; the actor is {place}.")
    because.append("So it is allowed." if allowed else "So it is refused.")
    return Explanation(allowed, verb, role.name, facts.room_role, rule.__name__, source, tuple(because))


def words_of(rule: Rule) -> str:
    text = (rule.__doc__ or "").strip()
    return text[:1].lower() + text[1:]


def _refusal(role: Role, verb: Verb, rule: Rule) -> str:
    if rule is no:
        return f"Your role here is {role}, and {verb} is not given to it. An admin can change your role."
    return f"Your role here is {role}; {verb} is given to it only thus: {words_of(rule)}"
