"""What every table shares: ids that sort by time, and foreign keys that can't cross tenants."""

from __future__ import annotations

from typing import Any, cast

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models.constraints import BaseConstraint

from core.ids import new_id


class Row(models.Model):
    """A table whose key is a UUIDv7."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)

    class Meta:
        abstract = True


def _table(model: type[models.Model] | None, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
    assert model is not None
    assert schema_editor is not None
    return schema_editor.quote_name(model._meta.db_table)


class SameTenant(BaseConstraint):
    """A composite foreign key `(<field>, tenant)` → `(id, tenant)` of the referenced table.

    With it the database itself refuses a row that points at another tenant's row. The referenced model needs a
    unique constraint over `(id, tenant)`.
    """

    def __init__(self, *, field: str, name: str) -> None:
        super().__init__(name=name)
        self.field = field

    def _sql(self, model: type[models.Model] | None, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
        assert model is not None
        assert schema_editor is not None
        quote = schema_editor.quote_name
        field = cast("models.ForeignKey[Any, Any]", model._meta.get_field(self.field))
        target = cast("type[models.Model]", field.related_model)
        return (
            f"CONSTRAINT {quote(self.name)} FOREIGN KEY ({quote(field.column)}, {quote('tenant_id')}) "
            f"REFERENCES {quote(target._meta.db_table)} ({quote('id')}, {quote('tenant_id')}) "
            "DEFERRABLE INITIALLY DEFERRED"
        )

    constraint_sql = _sql

    def create_sql(self, model: type[models.Model] | None, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
        return f"ALTER TABLE {_table(model, schema_editor)} ADD {self._sql(model, schema_editor)}"

    def remove_sql(self, model: type[models.Model] | None, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
        assert schema_editor is not None
        name = schema_editor.quote_name(self.name)
        return f"ALTER TABLE {_table(model, schema_editor)} DROP CONSTRAINT {name}"

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to check in Python: services find every reference through the actor, the database guards the rest."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SameTenant) and self.deconstruct() == other.deconstruct()

    __hash__ = BaseConstraint.__hash__

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        return path, args, {**kwargs, "field": self.field}


class IdempotencyKey(Row):
    """A key that a credential used, for which request, and what that made. Never the request's content."""

    credential = models.UUIDField()
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64)
    made = models.UUIDField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["credential", "key"], name="one_key_a_credential")]

    def __str__(self) -> str:
        return f"idempotency key {self.pk}"


class Allowance(models.Model):
    """What was spent of a rate limit in its window, where no Redis counts. Written by `core.counting` alone."""

    name = models.CharField(primary_key=True, max_length=150)
    spent = models.BigIntegerField()
    granted = models.BigIntegerField()
    ends_at = models.FloatField(db_index=True)

    def __str__(self) -> str:
        return self.name
