"""How a call must have sounded: the E-model of ITU-T G.107 with its default values, as far as a network can change them.

    R = 93.2 − Idd − Ie,eff

Numbers of clauses and equations are those of G.107 (06/2015). 93.2 is its R with every parameter at its default (clause 7.7).
Idd is the loss by delay alone (clause 7.4, equations 7-27 and 7-28 for the default sensitivity to delay, sT = 1 and
mT = 100 ms; echo is taken for cancelled). Ie,eff = Ie + (95 − Ie) × Ppl / (Ppl / BurstR + Bpl) (clause 7.5, equation 7-29), with
Ppl the packet loss in percent and BurstR 1, which is random loss. MOS from R as in annex B. Wideband codecs are judged on the
same narrowband scale, where nothing is better than 4.5.
"""

from math import exp, log, log2
from typing import NamedTuple

_PACKET_MS = 20.0
"""Assumed: what is said into one packet; nearly every phone does it so."""
_BUFFER = 2.0
"""Assumed: a jitter buffer of twice the mean jitter."""


class Robustness(NamedTuple):
    """``ie``: impairment by the codec itself, ``bpl``: how well it bears loss."""

    ie: float
    bpl: float


_PUBLISHED = {  # ITU-T G.113 appendix I, table I.4
    "PCMU": Robustness(0, 25.1),  # G.711 with packet loss concealment, which is assumed; without it 4.3
    "PCMA": Robustness(0, 25.1),
    "G729": Robustness(11, 19.0),  # G.729A with VAD
    "G723": Robustness(15, 16.1),  # G.723.1 at 6.3 kbit/s with VAD
    "GSM-EFR": Robustness(5, 10.0),
}
_ASSUMED = {
    # G.113 (appendix I, table I.1) has Ie alone of the first two; how they bear loss is taken from codecs of their kind. Of
    # wideband codecs it has only values for the wideband scale of G.107.1.
    "GSM": Robustness(20, 10.0),
    "G728": Robustness(7, 16.0),
    "G722": Robustness(0, 25.1),
    "OPUS": Robustness(0, 25.1),
}
_UNKNOWN = Robustness(0, 25.1)
"""As G.711: nothing is held against a codec that we do not know."""


def mos(codec: str, loss: float, jitter_ms: float, round_trip_ms: float) -> float:
    """1 to 4.5, of one direction. ``loss``: 0 to 1 of the packets; the way there is taken for half the round trip."""
    delay_ms = round_trip_ms / 2 + _PACKET_MS + _BUFFER * jitter_ms
    return round(of_rating(rating(codec, loss, delay_ms)), 2)


def rating(codec: str, loss: float, delay_ms: float) -> float:
    """R, from 0. ``delay_ms``: from mouth to ear."""
    return max(93.2 - _by_delay(delay_ms) - _by_loss(codec, 100 * min(max(loss, 0.0), 1.0)), 0.0)


def of_rating(r: float) -> float:
    """Annex B, equation B-4."""
    if r >= 100:
        return 4.5
    return max(1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6, 1.0)


def _by_delay(delay_ms: float) -> float:
    if delay_ms <= 100:
        return 0.0
    x = min(log2(delay_ms / 100), 20.0)
    return 25 * (_sixth_root(1 + x**6) - 3 * _sixth_root(1 + (x / 3) ** 6) + 2)


def _sixth_root(number: float) -> float:
    return exp(log(number) / 6)


def _by_loss(codec: str, percent: float) -> float:
    name = codec.upper()
    ie, bpl = _PUBLISHED.get(name) or _ASSUMED.get(name) or _UNKNOWN
    return ie + (95 - ie) * percent / (percent + bpl)
