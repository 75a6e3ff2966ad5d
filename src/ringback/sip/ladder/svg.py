"""A ladder as SVG 1.1: nothing in it but shapes and texts, so that it opens anywhere and prints.

It is drawn in sheets of at most the proportions of A4, each with the participants at its top. Outcomes differ by colour and by
line, head and mark too.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from ringback.sip.ladder import Hold, Ladder, Outcome, Step
from ringback.sip.ladder.markup import escaped, fitted, fitted_within, one_line
from ringback.sip.ladder.participants import Participant

GUTTER, ROW, HEAD, FOOT_LINE = 118, 46, 78, 20
_NARROWEST, _GAP = 780, 176
_TALLEST = 1.25  # times its width: a sheet and a heading are one page of A4
_WIDE = 1200
_LEGS_TOLD = 8
_LEGEND_CELL = 150
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MARKS = {Outcome.CLIENT_ERROR: 1, Outcome.SERVER_ERROR: 2}
_FILLED = frozenset({Outcome.REQUEST, Outcome.REPORTS})

COLOURS = {
    Outcome.REQUEST: ("#0b4f9e", "#7ab8ff"),
    Outcome.PROVISIONAL: ("#7d5200", "#f0be6c"),
    Outcome.SUCCESS: ("#1a6e35", "#7fd69a"),
    Outcome.REDIRECT: ("#6b3fa0", "#c9a6ff"),
    Outcome.CLIENT_ERROR: ("#b3261e", "#ff9a96"),
    Outcome.SERVER_ERROR: ("#7a0019", "#ff7f9a"),
    Outcome.REPORTS: ("#57606a", "#a3adb8"),
    Outcome.UNREADABLE: ("#57606a", "#a3adb8"),
}
"""On white paper, and on a dark screen."""
_DASHES = {
    Outcome.PROVISIONAL: "2 4",
    Outcome.REDIRECT: "12 4 2 4",
    Outcome.CLIENT_ERROR: "9 4",
    Outcome.SERVER_ERROR: "9 4",
    Outcome.REPORTS: "1 5",
    Outcome.UNREADABLE: "4 8",
}


def _name(outcome: Outcome) -> str:
    return outcome.name.lower().replace("_", "-")


def colours(theme: int) -> str:
    """Rules for what has an outcome: 0 on white, 1 on dark."""
    rules = (
        f".{_name(each)} .line, .{_name(each)} .open {{ stroke: {pair[theme]} }} "
        f".{_name(each)} .label, .{_name(each)} .solid {{ fill: {pair[theme]} }}"
        for each, pair in COLOURS.items()
    )
    return "\n".join(rules)


def _dashes() -> str:
    return "\n".join(f".{_name(each)} .line {{ stroke-dasharray: {dash} }}" for each, dash in _DASHES.items())


STYLE = f"""
.ladder {{ font-family: Arial, "Liberation Sans", "Helvetica Neue", Helvetica, sans-serif; font-size: 12px }}
.ladder text {{ fill: #1c2128 }}
.ladder .ground {{ fill: #fff }}
.ladder .title {{ font-size: 18px; font-weight: bold }}
.ladder .box {{ fill: #f2f4f7; stroke: #57606a }}
.ladder .name {{ font-weight: bold }}
.ladder .soft {{ fill: #57606a; font-size: 11px }}
.ladder .life {{ stroke: #aeb6bf }}
.ladder .held {{ fill: #ffe2a8; stroke: #7d5200; stroke-dasharray: 3 2 }}
.ladder .line, .ladder .open {{ fill: none; stroke-width: 1.8 }}
.ladder .server-error .line {{ stroke-width: 3 }}
.ladder .again .line {{ stroke-width: 0.9 }}
.ladder .again .label {{ font-style: italic; font-weight: normal }}
.ladder .label {{ font-weight: bold }}
.ladder .label, .ladder .summary {{ paint-order: stroke; stroke: #fff; stroke-width: 4px; stroke-linejoin: round }}
.ladder .summary {{ font-size: 11px }}
.ladder .row {{ fill: none; pointer-events: all }}
{_dashes()}
{colours(0)}
"""


def time_text(at_us: int, form: str = "%H:%M:%S.%f") -> str:
    return f"{_EPOCH + timedelta(microseconds=at_us):{form}}"


def spoken(ladder: Ladder, step: Step) -> str:
    """A step in words: for screen readers, and where the pointer rests."""
    source, target = ladder.participants[step.source], ladder.participants[step.target]
    way = "and" if step.outcome is Outcome.REPORTS else "to"
    names = f"{source.name} {source.address} {way} {target.name} {target.address}"
    return one_line(". ".join(filter(None, (time_text(step.at_us), names, label(step), step.summary))))


def label(step: Step) -> str:
    words = [one_line(step.label)]
    if step.copy > 1:
        words.append("retransmission" if step.copy == 2 else f"retransmission {step.copy - 1}")
    return " · ".join([*words, *([step.change] if step.change else [])])


def told(ladder: Ladder) -> str:
    """How much it is, in a line."""
    n = sum(len(step.packets) for step in ladder.steps) + ladder.left_out
    seconds = (ladder.until_us - min((step.at_us for step in ladder.steps), default=0)) / 1_000_000
    legs = f", {len(ladder.legs)} Call-IDs" if len(ladder.legs) > 1 else ""
    return f"{n} messages in {max(seconds, 0):.1f} s between {len(ladder.participants)} participants{legs}"


def svg(ladder: Ladder, title: str) -> str:
    """One picture of all."""
    drawing = _Sheets(ladder)
    parts, y = [], 64.0
    for part, height in (*drawing.sheets(linked=False), drawing.foot()):
        parts.append(f'<g transform="translate(0 {y:g})">{part}</g>')
        y += height + 16
    head = (
        f'<text class="title" x="12" y="28">{escaped(fitted(title, 18, drawing.width - 24))}</text>'
        f'<text class="soft" x="12" y="47">{escaped(told(ladder))}; times are UTC, as captured</text>'
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"{_opened(drawing.width, y)}<title>{escaped(title)}</title><desc>{escaped(_description(ladder))}</desc>"
        f'<style>{STYLE}</style><rect class="ground" width="100%" height="100%"/>{head}{"".join(parts)}</svg>\n'
    )


def sheets(ladder: Ladder) -> list[str]:
    """The pictures of its sheets and of their legend; the step of number n leads to `#m<n>`, counted from 1."""
    drawing = _Sheets(ladder)
    return [
        f"{_opened(drawing.width, height)}{part}</svg>"
        for part, height in (*drawing.sheets(linked=True), drawing.foot())
    ]


def _opened(width: float, height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ladder{" wide" if width > _WIDE else ""}"'
        f' width="{width:g}" height="{height:g}"'
        f' viewBox="0 0 {width:g} {height:g}">'
    )


def _description(ladder: Ladder) -> str:
    names = "; ".join(" ".join(each).strip() for each in ladder.participants)
    return f"Ladder diagram of a SIP call. {told(ladder)}. Participants from left to right: {names}."


class _Sheets:
    def __init__(self, ladder: Ladder) -> None:
        self._ladder = ladder
        n = max(len(ladder.participants), 1)
        self.width = float(max(_NARROWEST, GUTTER + n * _GAP))
        self._gap = (self.width - GUTTER) / n
        self._rows = max(int((_TALLEST * self.width - HEAD) / ROW), 1)

    def sheets(self, *, linked: bool) -> Iterator[tuple[str, float]]:
        """Each with its height."""
        for first in range(0, max(len(self._ladder.steps), 1), self._rows):
            steps = self._ladder.steps[first : first + self._rows]
            height = HEAD + ROW * len(steps) + 8
            yield "".join(self._sheet(first, steps, height, linked)), height

    def foot(self) -> tuple[str, float]:
        """What lines and letters mean, and what is not drawn."""
        lines = list(self._notes())
        outcomes = [each for each in Outcome if any(step.outcome is each for step in self._ladder.steps)]
        in_row = int((self.width - 12) // _LEGEND_CELL)
        samples = [self._sample(each, n % in_row, n // in_row) for n, each in enumerate(outcomes)]
        y = 24 + FOOT_LINE * (-(-len(outcomes) // in_row))
        texts = (
            f'<text class="soft" x="12" y="{y + FOOT_LINE * n:g}">{escaped(fitted(one_line(line), 11, self.width - 24))}</text>'
            for n, line in enumerate(lines)
        )
        return "".join((*samples, *texts)), y + FOOT_LINE * len(lines)

    def _sample(self, outcome: Outcome, column: int, row: int) -> str:
        x, y = 12 + column * _LEGEND_CELL, 14 + row * FOOT_LINE
        return (
            f'<g class="{_name(outcome)}">{_arrow(outcome, x, x + 46, y)}'
            f'<text x="{x + 54}" y="{y + 4}">{outcome.value}</text></g>'
        )

    def _notes(self) -> Iterator[str]:
        ladder = self._ladder
        if ladder.left_out:
            until = time_text(ladder.until_us)
            yield f"{ladder.left_out} more messages, until {until}, are not drawn; the text trace has all of them."
        if ladder.holds:
            yield "A filled bar: this participant holds the call."
        if len(ladder.legs) > 1:
            yield from (f"{_letter(n)}: Call-ID {each or 'missing'}" for n, each in enumerate(ladder.legs[:_LEGS_TOLD]))
        if len(ladder.legs) > _LEGS_TOLD:
            yield f"and {len(ladder.legs) - _LEGS_TOLD} more Call-IDs"

    # -- a sheet ------------------------------------------------------------------------------------------------------

    def _x(self, column: int) -> float:
        return GUTTER + self._gap * (column + 0.5)

    def _sheet(self, first: int, steps: Sequence[Step], height: float, linked: bool) -> Iterator[str]:
        for column, participant in enumerate(self._ladder.participants):
            yield self._participant(self._x(column), participant, height)
        for hold in self._ladder.holds:
            yield self._held(hold, first, len(steps))
        for n, step in enumerate(steps):
            yield self._step(first + n, step, HEAD + ROW * n, linked)

    def _participant(self, x: float, participant: Participant, height: float) -> str:
        box = min(self._gap - 14, 240)
        room = box - 12
        name, role, address = (one_line(text) for text in participant)
        lines = (
            ("name", fitted(name, 12, room * 0.94)),
            ("soft", fitted(role, 11, room)),
            ("soft", fitted_within(address, 11, room)),
        )
        texts = "".join(
            f'<text class="{kind}" x="{x:g}" y="{21 + 16 * n}" text-anchor="middle">{escaped(text)}</text>'
            for n, (kind, text) in enumerate(lines)
        )
        return (
            f'<g role="img"><title>{escaped(one_line(" ".join(participant)))}</title>'
            f'<line class="life" x1="{x:g}" x2="{x:g}" y1="62" y2="{height:g}"/>'
            f'<rect class="box" x="{x - box / 2:g}" y="4" width="{box:g}" height="58" rx="4"/>{texts}</g>'
        )

    def _held(self, hold: Hold, first: int, n: int) -> str:
        """As much of it as is on this sheet."""
        begin = max(hold.first - first, -0.5)
        end = n - 0.5 if hold.last is None else min(hold.last - first, n - 0.5)
        if end <= begin:
            return ""
        y, height = HEAD + ROW * begin + _LINE, ROW * (end - begin)
        return f'<rect class="held" x="{self._x(hold.column) - 5:g}" y="{y:g}" width="10" height="{height:g}"/>'

    def _step(self, number: int, step: Step, top: float, linked: bool) -> str:
        tag = f'a href="#m{number + 1}"' if linked else 'g role="img"'
        again = " again" if step.copy > 1 else ""
        return (
            f'<{tag} class="step {_name(step.outcome)}{again}"><title>{escaped(spoken(self._ladder, step))}</title>'
            f'<rect class="row" x="2" y="{top:g}" width="{self.width - 4:g}" height="{ROW}" rx="3"/>'
            f"{self._when(number, step, top)}{self._what(step, top)}</{tag[0]}>"
        )

    def _when(self, number: int, step: Step, top: float) -> str:
        """Time, time since the row above, Call-ID, and the number by which findings name the row."""
        leg = f"{_letter(step.leg)} " if step.leg is not None and len(self._ladder.legs) > 1 else ""
        delta = "" if step.delta_us is None else f"{round(step.delta_us, -3) / 1_000_000:+.3f} s"
        return (
            f'<text x="12" y="{top + _LINE - 1:g}">{time_text(step.at_us)[:12]}</text>'
            f'<text class="soft" x="12" y="{top + _LINE + 13:g}">{delta}</text>'
            f'<text class="name" x="{GUTTER - 14}" y="{top + _LINE - 1:g}">{leg.strip()}</text>'
            f'<text class="soft" x="{GUTTER - 4}" y="{top + _LINE + 13:g}" text-anchor="end">{number + 1}</text>'
        )

    def _what(self, step: Step, top: float) -> str:
        y, source, target = top + _LINE, self._x(step.source), self._x(step.target)
        if step.source == step.target:
            drawn, middle = _loop(step.outcome, source, y), source
        else:
            drawn, middle = _arrow(step.outcome, source, target, y), (source + target) / 2
        room = 2 * min(middle - GUTTER, self.width - middle) - 8
        drops = 4 if step.source == step.target else 0
        texts = (
            ("label", fitted(label(step), 12, room * 0.94), y - 6 - drops),
            ("summary", fitted(one_line(step.summary), 11, room), y + 14 + drops),
        )
        return drawn + "".join(
            f'<text class="{kind}" x="{middle:g}" y="{at:g}" text-anchor="middle">{escaped(text)}</text>'
            for kind, text, at in texts
            if text
        )


_LINE = 22
"""Where in its row an arrow lies."""


def _letter(leg: int) -> str:
    return chr(ord("A") + leg) if leg < 26 else str(leg + 1)


def _arrow(outcome: Outcome, source: float, target: float, y: float) -> str:
    way = 1 if target > source else -1
    start = source + 9 * way if outcome is Outcome.REPORTS else source
    parts = [f'<line class="line" x1="{start:g}" x2="{target - 9 * way:g}" y1="{y:g}" y2="{y:g}"/>']
    parts.append(_head(outcome, target, y, way))
    if outcome is Outcome.REPORTS:
        parts.append(_head(outcome, source, y, -way))
    parts += [_cross(source + (12 + 11 * n) * way, y) for n in range(_MARKS.get(outcome, 0))]
    return "".join(parts)


def _head(outcome: Outcome, x: float, y: float, way: int) -> str:
    back = x - 10 * way
    if outcome in _FILLED:
        return f'<path class="solid" d="M{x:g} {y:g} L{back:g} {y - 5:g} L{back:g} {y + 5:g} Z"/>'
    return f'<path class="open" d="M{back:g} {y - 5:g} L{x - way:g} {y:g} L{back:g} {y + 5:g}"/>'


def _cross(x: float, y: float) -> str:
    return (
        f'<path class="open" d="M{x - 4:g} {y - 4:g} L{x + 4:g} {y + 4:g} M{x - 4:g} {y + 4:g} L{x + 4:g} {y - 4:g}"/>'
    )


def _loop(outcome: Outcome, x: float, y: float) -> str:
    """From a participant to itself."""
    return f'<path class="line" d="M{x:g} {y - 5:g} H{x + 34:g} V{y + 5:g} H{x + 9:g}"/>{_head(outcome, x, y + 5, -1)}'
