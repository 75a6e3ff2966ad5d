"""File formats that come in, one module each; `catalogue.py` has them all."""

from ringback.importers.importer import Importer, Options, Progress, Refusal, Summary

__all__ = ["Importer", "Options", "Progress", "Refusal", "Summary"]
