"""Wires the apps together: settings, pages, commands of the installation, guides."""
