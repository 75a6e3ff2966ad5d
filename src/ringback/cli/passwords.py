"""Passwords at the command line: asked for, read from a pipe, or made. Never an argument, which other users could see."""

import secrets
import sys

import typer

from ringback.errors import UsageError
from ringback.identity import passwords


def made() -> str:
    """A new random password of 20 characters, 119 bits."""
    return secrets.token_urlsafe(15)


def asked(*personal: str | None) -> str:
    """From the terminal (twice), or the first line of what is piped in. UsageError when it is too weak."""
    if sys.stdin.isatty():
        text = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    fault = passwords.check_strength(text, *personal)
    if fault is not None:
        raise UsageError(f"{fault}.")
    return str(text)
