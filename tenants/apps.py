"""Organizations and who may do what in them."""

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "tenants"
