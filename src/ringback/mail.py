"""Sending mail through the operator's SMTP server. Slow: only ever from a job, never inside a transaction.

smtp://user:password@host:587    TLS by STARTTLS: required with a password, else used when the server offers it
smtps://user:password@host       TLS from the start
"""

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import SplitResult, unquote, urlsplit

from ringback.settings import Settings

TIMEOUT_S = 20
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class MailError(Exception):
    """The mail could not be handed over; a job that raises this is tried again."""


def is_configured(settings: Settings) -> bool:
    return bool(settings.smtp_url and settings.mail_from)


def send(settings: Settings, to: str, subject: str, text: str) -> None:
    """Hands one plain-text mail to the server, or raises MailError."""
    if not is_configured(settings):
        raise MailError("smtp_url and mail_from are not set")
    try:
        with _connected(urlsplit(settings.smtp_url)) as server:
            server.send_message(_message(settings.mail_from, to, subject, text))
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise MailError(f"{type(error).__name__}: {error}") from error


def check(settings: Settings) -> None:
    """Raises MailError unless the server takes the connection, and the login if there is one."""
    try:
        with _connected(urlsplit(settings.smtp_url)) as server:
            server.noop()
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise MailError(f"{type(error).__name__}: {error}") from error


def _message(sender: str, to: str, subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=sender.rpartition("@")[2].strip("> "))
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message


def _connected(url: SplitResult) -> smtplib.SMTP:
    host = url.hostname or ""
    if url.scheme == "smtps":
        context = ssl.create_default_context()
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, url.port or 465, timeout=TIMEOUT_S, context=context)
    else:
        server = smtplib.SMTP(host, url.port or 25, timeout=TIMEOUT_S)
    try:
        _secured(server, url, host)
    except BaseException:
        server.close()
        raise
    return server


def _secured(server: smtplib.SMTP, url: SplitResult, host: str) -> None:
    """TLS and login. A relay on this machine often has a certificate that nobody signed, and needs none."""
    server.ehlo()
    if url.scheme != "smtps" and host not in LOOPBACK and (url.username or server.has_extn("starttls")):
        server.starttls(context=ssl.create_default_context())
        server.ehlo()
    if url.username:
        server.login(unquote(url.username), unquote(url.password or ""))
