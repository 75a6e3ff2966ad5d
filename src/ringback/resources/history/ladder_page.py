"""The HTML page of a ladder: one file with everything in it, under a policy that lets nothing else in.

It is well-formed XML too, so that a test can hold every captured text to being text.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

from ringback.sip import trace
from ringback.sip.diagnosis.finding import Finding
from ringback.sip.ladder import Ladder, Outcome, Step
from ringback.sip.ladder import svg as ladder_svg
from ringback.sip.ladder.markup import escaped
from ringback.sip.message import decoded

HTML = "text/html; charset=utf-8"
_LONGEST = 10_000  # characters shown of one message


class Assets(NamedTuple):
    style: str
    script: str
    policy: str
    """The Content-Security-Policy that lets exactly these two in."""


@lru_cache(maxsize=1)
def assets() -> Assets:
    folder = resources.files("ringback") / "web" / "ladder"
    style = ladder_svg.STYLE + folder.joinpath("page.css").read_text() + _dark()
    script = folder.joinpath("page.js").read_text()
    only = f"style-src {digest(style)}; script-src {digest(script)}"
    policy = f"default-src 'none'; {only}; base-uri 'none'; form-action 'none'"
    return Assets(style, script, policy)


def _dark() -> str:
    return f"@media screen and (prefers-color-scheme: dark) {{\n{ladder_svg.colours(1)}\n}}\n"


def digest(text: str) -> str:
    """How a Content-Security-Policy names an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def headers() -> dict[str, str]:
    return {
        "Content-Security-Policy": f"{assets().policy}; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex, nofollow",
    }


def page(
    ladder: Ladder, title: str, files: Mapping[str, str], note: str = "", findings: Sequence[Finding] = ()
) -> bytes:
    """`files`: what can be downloaded beside it, by URL. `note`: what there is to know of it besides."""
    sheets = "\n".join(ladder_svg.sheets(ladder))
    messages = "\n".join(_message(number, step) for number, step in enumerate(ladder.steps, 1))
    links = "".join(f'<a href="{escaped(url)}">{escaped(name)}</a>' for url, name in files.items())
    return document(
        title,
        f"<header><h1>{escaped(title)}</h1>"
        f"<p>{escaped(ladder_svg.told(ladder))}. Times are UTC, as captured; the order is that of cause and effect.</p>"
        f"{_paragraph(escaped(note))}{_paragraph(links)}</header>\n"
        f"{_findings(ladder, findings)}"
        f'<main><div class="sheets">{sheets}</div>\n'
        f'<section class="messages" id="messages"><h2>Messages</h2>\n{messages}</section></main>',
    )


def _paragraph(content: str) -> str:
    return f"<p>{content}</p>" if content else ""


def _findings(ladder: Ladder, findings: Sequence[Finding]) -> str:
    """Above the diagram, each with links to the rows that prove it."""
    rows = {packet: number for number, step in enumerate(ladder.steps, 1) for packet in step.packets}
    told = "".join(_finding(each, sorted({rows[proof.packet] for proof in each.proofs if proof.packet in rows}))
                   for each in findings)  # fmt: skip
    return f'<section class="findings"><h2>Findings</h2>{told}</section>\n' if told else ""


def _finding(finding: Finding, rows: Iterable[int]) -> str:
    links = " ".join(f'<a class="proof" href="#m{row}">{row}</a>' for row in rows)
    says, look, code = (escaped(each) for each in (finding.says, finding.look, finding.code))
    return (
        f'<div class="{finding.severity.value}"><h3>{finding.severity.value.capitalize()}: {says}</h3>'
        f"<p>{look}</p><p>{code} · messages {links}</p></div>"
    )


def document(title: str, body: str) -> bytes:
    """`body` is markup."""
    style, script, policy = assets()
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escaped(policy)}"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        '<meta name="robots" content="noindex, nofollow"/><meta name="referrer" content="no-referrer"/>\n'
        f"<title>{escaped(title)}</title>\n<style>{style}</style></head>\n"
        f"<body>{body}\n<script>{script}</script></body></html>\n"
    ).encode()


def _message(number: int, step: Step) -> str:
    first = step.packets[0]
    way = f"{ladder_svg.time_text(step.at_us, '%Y-%m-%d %H:%M:%S.%f')} {first.transport} {first.src} → {first.dst}"
    raw = "".join(_raw(step))
    return (
        f'<section class="message" id="m{number}"><h3>{number}. {escaped(ladder_svg.label(step))}</h3>'
        f'<p>{escaped(way)}</p><pre tabindex="0">{escaped(raw[:_LONGEST])}</pre>{_rest(len(raw))}</section>'
    )


def _raw(step: Step) -> Iterator[str]:
    if step.outcome is Outcome.REPORTS:
        yield from (line.strip() + "\n" for line in trace.text(step.packets))
    else:
        yield decoded(step.packets[0].payload)


def _rest(length: int) -> str:
    more = length - _LONGEST
    return f"<p>{more} more characters are in the text trace.</p>" if more > 0 else ""
