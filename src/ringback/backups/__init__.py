"""Backups of a whole installation, putting them back, and moving to another database engine."""
