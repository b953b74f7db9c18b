from django.core.management import call_command
from django.db import migrations


def create_cache_table(_apps, schema_editor):
    """The embedded default keeps its cache in the database; the table is there whichever cache is configured now."""
    call_command("createcachetable", "conclave_cache", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = []
    operations = [migrations.RunPython(create_cache_table, migrations.RunPython.noop)]
