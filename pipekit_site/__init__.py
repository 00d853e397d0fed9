"""The Django project: settings, pages, commands of the installation, guides."""
