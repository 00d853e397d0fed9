"""The metadata database: its URL, migration, errors and backup."""
