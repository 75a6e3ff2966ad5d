"""The demo: a made-up company whose calls a real Asterisk and real SIP phones made (`data/README.md`)."""

from pathlib import Path

from ringback.importers import IMPORTERS, Options, Progress
from ringback.services import Services

DATA = Path(__file__).with_name("data")


def fill(services: Services, customer_id: int, administrator_id: int, progress: Progress) -> None:  # noqa: ARG001
    """Fills an empty customer; done again, also after a crash, it adds what is missing and changes nothing else."""
    IMPORTERS["asterisk-cdr"].run(services, customer_id, DATA / "Master.csv", Options(country="GB"), progress)
