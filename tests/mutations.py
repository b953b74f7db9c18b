"""What may go wrong with a permission: every way to flip a cell of the table or to drop a filter, one at a time."""

import ast
import importlib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from tenants import permissions
from tenants.permissions import TABLE, Facts, Rule, Verb, no, yes
from tenants.roles import TenantRole
from tests import policy

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("tenants", "chat")
LOOKUPS = {"filter", "exclude", "get", "Q"}
OF_THE_ACTOR = re.compile(r"(actor|fresh|found\.actor)\.(seat|user|role)")
UNTOUCHED = {
    "chat/demo.py": "an operator's command, which asks for nobody",
}

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
}
"""Mutants that no request can tell from the original, by name, each with its reason. They are run like the others."""


@dataclass(frozen=True)
class Mutant:
    name: str
    kind: str
    """`cell`, `tenant` for a filter on the organization, `actor` for one on the actor's own seat or person."""
    touches: str
    """What a test must use to notice: `verb role`, or `module:function`."""
    apply: Callable[[], None]
    """In this process, for good."""


def mutants() -> list[Mutant]:
    return [*cells(), *filters()]


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
        row: Any = tuple(rule if place == role.rank else each for place, each in enumerate(TABLE[verb]))
        permissions.TABLE[verb] = row
        policy.roles = (role,)

    return apply


def filters() -> Iterator[Mutant]:
    """Each condition of a lookup that names an organization or takes something of the actor, left out."""
    for path in sorted(each for package in PACKAGES for each in (ROOT / package).rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if "migrations" not in path.parts and name not in UNTOUCHED:
            yield from _filters_of(name, path.read_text())


def _filters_of(path: str, source: str) -> Iterator[Mutant]:
    module = path.removesuffix(".py").replace("/", ".")
    names: Counter[str] = Counter()
    for number in range(len(list(_conditions(ast.parse(source))))):
        tree = ast.parse(source)
        found = list(_conditions(tree))[number]
        function = _function_around(tree, found.node)
        code = _code_of(found.drop(tree, f"{ROOT}/{path}"), function)
        name = f"filter {path} {function}: {found.text}"
        names[name] += 1
        name += f" ({names[name]})" if names[name] > 1 else ""
        yield Mutant(name, found.kind, f"{module}:{function}", _code_change(module, function, code))


@dataclass(frozen=True)
class Condition:
    """A condition in a tree, and how to be without it."""

    node: ast.AST
    kind: str
    text: str
    remove: Callable[[], None]

    def drop(self, tree: ast.Module, filename: str) -> CodeType:
        self.remove()
        return compile(ast.fix_missing_locations(tree), filename, "exec")


def _conditions(tree: ast.Module) -> Iterator[Condition]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in LOOKUPS:
            for keyword in node.keywords:
                if kind := _kind(keyword.arg or "", ast.unparse(keyword.value)):
                    text = f"{keyword.arg}={ast.unparse(keyword.value)}"
                    yield Condition(node, kind, text, lambda node=node, each=keyword: node.keywords.remove(each))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd) and _is_scope(node.right):
            yield Condition(node, "tenant", f"& {ast.unparse(node.right)}", lambda node=node: _always(node))


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _kind(name: str, value: str) -> str:
    if {"tenant", "tenant_id"} & set(name.split("__")):
        return "tenant"
    return "actor" if OF_THE_ACTOR.fullmatch(value) else ""


def _is_scope(node: ast.expr) -> bool:
    """A condition made by a function from the organization's name."""
    return isinstance(node, ast.Call) and any(isinstance(each, ast.Name) and each.id == "tenant" for each in node.args)


def _always(node: ast.BinOp) -> None:
    node.right = ast.Call(ast.Name("Q", ast.Load()), [], [])


def _function_around(tree: ast.Module, node: ast.AST) -> str:
    """The qualified name of the outermost function with this node in it."""
    for outer in tree.body:
        inner = outer.body if isinstance(outer, ast.ClassDef) else [outer]
        for each in inner:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and node in ast.walk(each):
                return f"{outer.name}.{each.name}" if isinstance(outer, ast.ClassDef) else each.name
    raise ValueError(f"a filter outside every function: {ast.unparse(node)}")


def _code_of(code: CodeType, function: str) -> CodeType:
    if code.co_qualname == function:
        return code
    return next(
        found
        for each in code.co_consts
        if isinstance(each, CodeType) and (each.co_qualname == function or function.startswith(f"{each.co_qualname}."))
        for found in [_code_of(each, function)]
    )


def _code_change(module: str, function: str, code: CodeType) -> Callable[[], None]:
    def apply() -> None:
        original(module, function).__code__ = code

    return apply


def original(module: str, function: str) -> FunctionType:
    """The function itself, below its decorators: whoever imported it by name calls this one."""
    found: Any = importlib.import_module(module)
    for name in function.split("."):
        found = getattr(found, name)
    found = inspect.unwrap(found)
    assert isinstance(found, FunctionType)
    return found
