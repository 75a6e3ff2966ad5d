"""`python -m ringback` is `ringback`."""

from ringback.cli import main

main()
