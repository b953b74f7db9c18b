"""Statements for the hottest path: written by the ORM once, sent together, without the ORM's price at each call."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID, uuid4
from weakref import WeakKeyDictionary

import psycopg
from django.db import connection, models
from django.db.models import QuerySet

_PLACE = re.compile(r"IN \(%s\)|%s")


Rows = list[tuple[Any, ...]]
Convert = Callable[[Rows], Rows]


class Statement(NamedTuple):
    sql: str
    params: Sequence[Any]
    convert: Convert | None = None


class _Made(NamedTuple):
    sql: str
    params: list[Any]
    convert: Convert | None


class Compiled:
    """A queryset over sets of values, compiled at its first use: `build(**sets)` is given lists as stand-ins, which it
    may use in `…__in` lookups only. Its columns are named by `values_list`, and come out as they would from there."""

    def __init__(self, build: Callable[..., QuerySet[Any, Any]], *sets: str) -> None:
        self._build = build
        self._sets = sets
        self._made: dict[str, _Made] = {}

    def __call__(self, **sets: Iterable[Any]) -> Statement:
        made = self._made.get(connection.vendor) or self._compile()
        params = [_set(sets[part.name]) if isinstance(part, _Set) else part for part in made.params]
        return Statement(made.sql, params, made.convert)

    def rows(self, **sets: Iterable[Any]) -> Rows:
        """Run it alone."""
        return run_all([self(**sets)])[0]

    def _compile(self) -> _Made:
        marks = {name: uuid4() for name in self._sets}
        named = {form: _Set(name) for name, mark in marks.items() for form in (mark, mark.hex, str(mark))}
        compiler = self._build(**{name: [mark] for name, mark in marks.items()}).query.get_compiler("default")
        sql, found = compiler.as_sql()
        params = [named.get(param, param) for param in found]
        parts = iter(params)
        sql = _PLACE.sub(lambda place: _among(place[0], next(parts)), sql)
        made = self._made[connection.vendor] = _Made(sql, params, _converting(compiler))
        return made


def _converting(compiler: Any) -> Convert | None:
    """What the ORM does with the columns; for PostgreSQL mostly nothing."""
    converters = compiler.get_converters([column for column, _, _ in compiler.select])
    if not converters:
        return None

    def convert(rows: Rows) -> Rows:
        return [tuple(row) for row in compiler.apply_converters(rows, converters)]

    return convert


class _Set(NamedTuple):
    name: str


def _among(place: str, part: Any) -> str:
    if not isinstance(part, _Set):
        return place
    return "= ANY(%s)" if connection.vendor == "postgresql" else "IN (SELECT value FROM json_each(%s))"


def _set(values: Iterable[Any]) -> Any:
    """A set of ids or words as one parameter."""
    if connection.vendor == "postgresql":
        return list(values)
    return json.dumps([value.hex if isinstance(value, UUID) else value for value in values])


def run_all(statements: Sequence[Statement]) -> list[Rows]:
    """The rows of each, in order. PostgreSQL gets all of them in one round trip, and still one after the other: each
    sees what was committed before it began."""
    if connection.vendor == "postgresql":
        connection.ensure_connection()
        with connection.wrap_database_errors:
            raw: Any = connection.connection
            with raw.pipeline():
                cursors = [
                    cursor.execute(statement.sql, statement.params)
                    for cursor, statement in zip(_cursors(raw, len(statements)), statements, strict=True)
                ]
            found = [cursor.fetchall() if cursor.description else [] for cursor in cursors]
        if connection.queries_logged:
            connection.queries_log.extend({"sql": statement.sql, "time": "0"} for statement in statements)
    else:
        with connection.cursor() as cursor:
            found = [_fetch(cursor, statement) for statement in statements]
    return [each.convert(rows) if each.convert else rows for each, rows in zip(statements, found, strict=True)]


_kept: WeakKeyDictionary[Any, list[Any]] = WeakKeyDictionary()


def _cursors(raw: Any, count: int) -> list[Any]:
    """Cursors of a connection, kept with it: making one costs more than a small statement."""
    kept = _kept.setdefault(raw, [])
    while len(kept) < count:
        kept.append(psycopg.Cursor(raw))
    return kept[:count]


def _fetch(cursor: Any, statement: Statement) -> Rows:
    cursor.execute(statement.sql, statement.params)
    return list(cursor.fetchall()) if cursor.description else []


def insert_many(model: type[models.Model], rows: Sequence[Mapping[str, Any]]) -> list[Statement]:
    """Insert rows that all name the same fields, by their attribute names."""
    fields, table = _fields(model, tuple(rows[0])), connection.ops.quote_name(model._meta.db_table)
    sql = f"INSERT INTO {table} ({_names(fields)})"
    if connection.vendor == "postgresql":
        return [Statement(f"{sql} SELECT * FROM {_unnest(fields)}", _columns(fields, rows))]
    sql = f"{sql} VALUES ({', '.join(['%s'] * len(fields))})"
    return [Statement(sql, row) for row in zip(*_columns(fields, rows), strict=True)]


def update_many(model: type[models.Model], rows: Sequence[Mapping[str, Any]]) -> list[Statement]:
    """Set the same fields of several rows; the first that they name is the one by which each is found."""
    key, *rest = fields = _fields(model, tuple(rows[0]))
    table = connection.ops.quote_name(model._meta.db_table)
    if connection.vendor == "postgresql":
        setting = ", ".join(f'"{field.column}" = new."{field.column}"' for field in rest)
        source = f"{_unnest(fields)} AS new ({_names(fields)})"
        sql = f'UPDATE {table} SET {setting} FROM {source} WHERE {table}."{key.column}" = new."{key.column}"'
        return [Statement(sql, _columns(fields, rows))]
    setting = ", ".join(f'"{field.column}" = %s' for field in rest)
    sql = f'UPDATE {table} SET {setting} WHERE "{key.column}" = %s'
    return [Statement(sql, row) for row in zip(*_columns([*rest, key], rows), strict=True)]


def _fields(model: type[models.Model], names: tuple[str, ...]) -> list[Any]:
    by_name = {field.attname: field for field in model._meta.concrete_fields}
    return [by_name[name] for name in names]


def _columns(fields: Sequence[Any], rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    return [_column(field, [row[field.attname] for row in rows]) for field in fields]


def _column(field: Any, values: list[Any]) -> list[Any]:
    """As the database takes them: psycopg knows all that we store but JSON."""
    if connection.vendor != "postgresql":
        return [field.get_db_prep_save(value, connection) for value in values]
    if isinstance(field, models.JSONField):
        return [json.dumps(value) for value in values]
    return values


def _names(fields: Sequence[Any]) -> str:
    return ", ".join(f'"{field.column}"' for field in fields)


def _unnest(fields: Sequence[Any]) -> str:
    return f"unnest({', '.join(f'%s::{field.db_type(connection)}[]' for field in fields)})"
