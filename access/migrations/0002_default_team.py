"""The team that a fresh installation starts with."""

from django.db import migrations


def create_default_team(apps, schema_editor):
    apps.get_model("auth", "Group").objects.get_or_create(name="default")


class Migration(migrations.Migration):
    dependencies = [("access", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")]

    operations = [migrations.RunPython(create_default_team, migrations.RunPython.noop)]
