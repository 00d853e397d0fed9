"""Base classes and building blocks of the admin's pages, for all apps."""
