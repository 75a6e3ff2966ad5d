"""A process that forks a child for each piece of work it is told, so that two hundred of them can be killed in a minute.

Run as `python -m tests.killing DATABASE DATA_DIR CUSTOMER COUNTRY`. A line on its input is `import KIND PATH` or `jobs`; it answers with
the child's process id and, after an empty line, with its exit status when it has ended.
"""

import os
import sys
from pathlib import Path

from ringback import app as composition
from ringback import logs
from ringback.importers import Options
from ringback.importers.catalogue import IMPORTERS
from ringback.importers.importer import Unwatched
from ringback.opening import open_services
from ringback.settings import Settings


def work(settings: Settings, customer_id: int, words: list[str]) -> None:
    services = open_services(settings)
    if words[0] == "import":
        IMPORTERS[words[1]].run(services, customer_id, Path(words[2]), Options(country="GB"), Unwatched())
    else:
        # The dead child's lease is over at once: its worker would wait 15 seconds for that.
        services.database.write(lambda db: db.run("UPDATE jobs SET lease_until = 0, attempts = 0, run_at = 0", {}))
        workers = composition.build(services).workers
        while workers.run_one():
            pass
    services.database.close()


def main() -> None:
    logs.configure("error")
    settings = Settings(database=sys.argv[1], data_dir=sys.argv[2])
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            work(settings, int(sys.argv[3]), line.split())
            os._exit(0)
        print(child, flush=True)
        sys.stdin.readline()
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    main()
