from django.db import migrations


def begin(apps, _schema_editor):
    apps.get_model("chat", "Epoch").objects.get_or_create(id=1)


class Migration(migrations.Migration):
    dependencies = [("chat", "0001_initial")]
    operations = [migrations.RunPython(begin, migrations.RunPython.noop)]
