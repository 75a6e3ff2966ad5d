"""File formats that come in, one module each; `IMPORTERS` is the catalogue, one line a kind."""

from ringback.importers.asterisk_calls import ASTERISK_CDR
from ringback.importers.importer import Importer, Options, Progress, Refusal, Summary

__all__ = ["IMPORTERS", "Importer", "Options", "Progress", "Refusal", "Summary"]

IMPORTERS = {importer.kind: importer for importer in (ASTERISK_CDR,)}
