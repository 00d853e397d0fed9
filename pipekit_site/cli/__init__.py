"""The command line of manage.py: errors, output and help."""
