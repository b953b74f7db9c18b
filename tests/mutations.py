"""What may go wrong with a permission: every way to flip a cell of the table or to drop what keeps people apart."""

import ast
import importlib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from core.sql import Compiled
from tenants import permissions
from tenants.permissions import TABLE, Facts, Rule, Verb, no, yes
from tenants.roles import TenantRole
from tests import policy

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("accounts", "tenants", "chat")
LOOKUPS = {"filter", "exclude", "get", "Q"}
OF_THE_ACTOR = re.compile(r"(actor|fresh|found\.actor)\.(seat|user|role)")
UNTOUCHED = {
    "chat/demo.py": "an operator's command, which asks for nobody",
}
GUARDED = {"chat/batch.py": {"Batch._judge"}, "chat/hello.py": {"greeting"}}
"""Functions that judge by themselves, from rows that a statement brought."""

_KEYED = "its rows are put under all their keys, and a draft takes what lies under its own: more would only be read"
EQUIVALENT = {
    "cell invitation.create owner: grants → yes": "no role is above an owner's: an owner may give any",
    "filter chat/queries.py messages_seen_by: tenant=actor.tenant": (
        "the line below asks for the actor's own seat in the room, and a composite foreign key keeps both in one tenant"
    ),
    "filter chat/queries.py members_seen_by: tenant=actor.tenant": (
        "the room is one of `rooms_seen_by`, and a composite foreign key keeps its members in its tenant"
    ),
    "filter chat/services/rooms.py direct_room: tenant=fresh.tenant": (
        "the key is a digest of the ids of seats, and a seat belongs to one tenant; the tenant is there for the index"
    ),
    "filter chat/services/rooms.py _found_direct: tenant=actor.tenant": "the same key, in the same words",
    "statement accounts/credentials.py _standing: pk__in=sids": "whoever asks looks for their own sids in the answer",
    "statement chat/batch.py _rooms: pk__in=rooms": _KEYED,
    "statement chat/batch.py _members: room__in=rooms": _KEYED,
    "statement chat/batch.py _members: seat__in=seats": _KEYED,
    "statement chat/batch.py _said: room__in=rooms": _KEYED,
    "statement chat/batch.py _said: author__in=authors": _KEYED,
    "statement chat/batch.py _said: nonce__in=nonces": _KEYED,
    "statement chat/batch.py _targets: pk__in=messages": _KEYED,
    "statement chat/reads.py _heads: pk__in=rooms": (
        "the sweep takes of the heads those of the rooms that it has; no request leads there"
    ),
}
"""Mutants that no request can tell from the original, by name, each with its reason. They are run like the others."""


@dataclass(frozen=True)
class Mutant:
    name: str
    kind: str
    """`cell`, `tenant` for a filter on the organization, `actor` for one on the actor's own seat or person, `statement`
    for any condition of a compiled statement, `guard` for one in Python."""
    touches: str
    """What a test must use to notice: `verb role`, or `module:function`, or `module:statement`."""
    apply: Callable[[], None]
    """In this process, for good."""


def mutants() -> list[Mutant]:
    return [*cells(), *omissions()]


def cells() -> Iterator[Mutant]:
    """Each cell turned into its opposite, and into never and always where that is something else."""
    for verb, rules in TABLE.items():
        for role, rule in zip(TenantRole, rules, strict=True):
            for name, other in _others(rule):
                change = _cell_change(verb, role, other)
                yield Mutant(f"cell {verb} {role}: {rule.__name__} → {name}", "cell", f"{verb} {role}", change)


def _others(rule: Rule) -> Iterator[tuple[str, Rule]]:
    if rule is not no:
        yield "no", no
    if rule is not yes:
        yield "yes", yes
    if rule not in (no, yes):
        yield f"not {rule.__name__}", _opposite(rule)


def _opposite(rule: Rule) -> Rule:
    def opposite(role: TenantRole, facts: Facts) -> bool:
        return not rule(role, facts)

    return opposite


def _cell_change(verb: Verb, role: TenantRole, rule: Rule) -> Callable[[], None]:
    def apply() -> None:
        row: Any = tuple(rule if place == role.place else each for place, each in enumerate(TABLE[verb]))
        permissions.TABLE[verb] = row
        policy.roles = (role,)

    return apply


def omissions() -> Iterator[Mutant]:
    """What keeps people apart, left out one at a time: each condition of a lookup that names an organization or takes
    something of the actor, each condition of a statement that is compiled once, each guard of `GUARDED`."""
    for path in sorted(each for package in PACKAGES for each in (ROOT / package).rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if "migrations" not in path.parts and name not in UNTOUCHED:
            yield from _omissions_of(name, path.read_text())


def _omissions_of(path: str, source: str) -> Iterator[Mutant]:
    module = path.removesuffix(".py").replace("/", ".")
    names: Counter[str] = Counter()
    for number in range(len(list(_conditions(path, ast.parse(source))))):
        tree = ast.parse(source)
        found = list(_conditions(path, tree))[number]
        word = found.kind if found.kind in ("statement", "guard") else "filter"
        name = f"{word} {path} {found.owner}: {found.text}"
        names[name] += 1
        name += f" ({names[name]})" if names[name] > 1 else ""
        found.remove()
        make = _statement_change if found.kind == "statement" else _function_change
        yield Mutant(name, found.kind, f"{module}:{found.owner}", make(tree, module, path, found.owner))


@dataclass(frozen=True)
class Condition:
    """A condition in a tree, and how to be without it."""

    owner: str
    """The outermost function around it by its qualified name, or the name of the statement."""
    kind: str
    text: str
    remove: Callable[[], None]


def _conditions(path: str, tree: ast.Module) -> Iterator[Condition]:
    for owner, node in _owners(tree):
        if isinstance(node, ast.Lambda):
            yield from _of_statement(owner, node)
            continue
        yield from _of_lookups(owner, node)
        if owner in GUARDED.get(path, ()):
            yield from _guards(owner, node)


def _owners(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Functions, methods and the lambdas of compiled statements. No filter may stand anywhere else."""
    for outer in tree.body:
        statement = _statement_in(outer)
        inner = outer.body if isinstance(outer, ast.ClassDef) else [outer]
        if statement:
            yield statement
        for each in inner:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (f"{outer.name}.{each.name}" if isinstance(outer, ast.ClassDef) else each.name), each
            elif not statement and (stray := next(_of_lookups("", each), None)):
                raise ValueError(f"a filter outside every function: {stray.text}")


def _statement_in(node: ast.stmt) -> tuple[str, ast.Lambda] | None:
    """`name = Compiled(lambda …: …, …)`."""
    if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _called(node.value) == "Compiled"):
        return None
    target, build = node.targets[0], node.value.args[0]
    assert isinstance(target, ast.Name) and isinstance(build, ast.Lambda), ast.unparse(node)
    return target.id, build


def _of_statement(owner: str, build: ast.Lambda) -> Iterator[Condition]:
    for call in _lookups(build):
        for place in (*call.args, *call.keywords):
            bare = isinstance(place, ast.expr)
            text = ast.unparse(place) if bare else f"{place.arg}={ast.unparse(place.value)}"
            held: list[Any] = call.args if bare else call.keywords
            yield Condition(owner, "statement", text, partial(held.remove, place))


def _of_lookups(owner: str, around: ast.AST) -> Iterator[Condition]:
    for call in _lookups(around):
        for keyword in call.keywords:
            if kind := _kind(keyword.arg or "", ast.unparse(keyword.value)):
                text = f"{keyword.arg}={ast.unparse(keyword.value)}"
                yield Condition(owner, kind, text, partial(call.keywords.remove, keyword))


def _lookups(around: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(around) if isinstance(node, ast.Call) and _called(node) in LOOKUPS]


def _guards(owner: str, function: ast.AST) -> Iterator[Condition]:
    """Each term of an `if` that refuses or answers, and each `require`."""
    for node in ast.walk(function):
        if isinstance(node, ast.If) and isinstance(node.body[0], ast.Raise | ast.Return):
            for term in node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]:
                yield Condition(owner, "guard", ast.unparse(term), partial(_without, node, term))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _called(node.value) == "require":
            yield Condition(owner, "guard", ast.unparse(node), partial(setattr, node, "value", ast.Constant(None)))


def _without(node: ast.If, term: ast.expr) -> None:
    """The condition that remains; without its only term it is never met."""
    rest = [each for each in node.test.values if each is not term] if isinstance(node.test, ast.BoolOp) else []
    if len(rest) > 1 and isinstance(node.test, ast.BoolOp):
        node.test.values = rest
    else:
        node.test = rest[0] if rest else ast.Constant(False)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _kind(name: str, value: str) -> str:
    if {"tenant", "tenant_id"} & set(name.split("__")):
        return "tenant"
    return "actor" if OF_THE_ACTOR.fullmatch(value) else ""


def _code_of(code: CodeType, function: str) -> CodeType:
    if code.co_qualname == function:
        return code
    return next(
        found
        for each in code.co_consts
        if isinstance(each, CodeType) and (each.co_qualname == function or function.startswith(f"{each.co_qualname}."))
        for found in [_code_of(each, function)]
    )


def _function_change(tree: ast.Module, module: str, path: str, function: str) -> Callable[[], None]:
    code = _code_of(compile(ast.fix_missing_locations(tree), f"{ROOT}/{path}", "exec"), function)

    def apply() -> None:
        original(module, function).__code__ = code

    return apply


def _statement_change(tree: ast.Module, module: str, path: str, name: str) -> Callable[[], None]:
    build = next(node for owner, node in _owners(tree) if owner == name and isinstance(node, ast.Lambda))
    code = compile(ast.fix_missing_locations(ast.Expression(build)), f"{ROOT}/{path}", "eval")

    def apply() -> None:
        changed = statement(module, name)
        changed._build = eval(code, vars(importlib.import_module(module)))
        changed._made.clear()

    return apply


def statement(module: str, name: str) -> Compiled:
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, Compiled)
    return found


def original(module: str, function: str) -> FunctionType:
    """The function itself, below its decorators: whoever imported it by name calls this one."""
    found: Any = importlib.import_module(module)
    for name in function.split("."):
        found = getattr(found, name)
    found = inspect.unwrap(found)
    assert isinstance(found, FunctionType)
    return found
