"""The checks of the installation that `manage.py doctor` runs."""
