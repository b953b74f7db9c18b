"""Statements for the hottest path: written by the ORM once, sent together, without the ORM's price at each call."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
from django.db import connection, models
from django.db.models import QuerySet

_PLACE = re.compile(r"IN \(%s\)|%s")


class Statement(NamedTuple):
    sql: str
    params: Sequence[Any]


class Compiled:
    """A queryset over sets of values, compiled at its first use: `build(**sets)` is given lists as stand-ins, which it
    may use in `…__in` lookups only. Its columns are named by `values_list`."""

    def __init__(self, build: Callable[..., QuerySet[Any, Any]], *sets: str) -> None:
        self._build = build
        self._sets = sets
        self._made: dict[str, tuple[str, list[Any]]] = {}

    def __call__(self, **sets: Iterable[Any]) -> Statement:
        sql, order = self._made.get(connection.vendor) or self._compile()
        return Statement(sql, [_set(sets[part.name]) if isinstance(part, _Set) else part for part in order])

    def _compile(self) -> tuple[str, list[Any]]:
        marks = {name: uuid4() for name in self._sets}
        named = {form: _Set(name) for name, mark in marks.items() for form in (mark, mark.hex, str(mark))}
        sql, params = self._build(**{name: [mark] for name, mark in marks.items()}).query.sql_with_params()
        order = [named.get(param, param) for param in params]
        parts = iter(order)
        sql = _PLACE.sub(lambda found: _among(found[0], next(parts)), sql)
        self._made[connection.vendor] = sql, order
        return sql, order


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


def run_all(statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
    """The rows of each, in order. PostgreSQL gets all of them in one round trip, and still one after the other: each
    sees what was committed before it began."""
    if connection.vendor != "postgresql":
        with connection.cursor() as cursor:
            return [_rows(cursor.execute(*statement)) for statement in statements]
    connection.ensure_connection()
    with connection.wrap_database_errors:
        raw: Any = connection.connection
        with raw.pipeline():
            cursors = [psycopg.Cursor(raw).execute(statement.sql, statement.params) for statement in statements]
        return [_rows(cursor) for cursor in cursors]


def _rows(cursor: Any) -> list[tuple[Any, ...]]:
    return list(cursor.fetchall()) if cursor.description else []


def uuid(value: Any) -> UUID:
    """A UUID as either database hands it out."""
    return value if isinstance(value, UUID) else UUID(value)


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
