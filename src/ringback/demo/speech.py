"""What is said in the recordings of the lab: the transcripts that a speech recogniser would make of them."""

import json
import wave
from datetime import datetime
from pathlib import Path
from typing import Any

from ringback.record import json_text

TEXTS = {
    "on-hold": "Please hold the line. Somebody will be with you shortly.",
    "alice-orders": (
        "Hello, this is Alice of Harbour Bicycles. I would like to order forty brake cables and twelve chains, please."
    ),
    "berlin-confirms": (
        "Good morning Alice. Forty cables and twelve chains, that is noted. They leave Berlin on Thursday."
    ),
    "customer-asks": (
        "Hi, I bought a blue touring bicycle from you in spring, and now the rear wheel makes a clicking noise."
    ),
    "bob-answers": ("I am sorry to hear that. It is probably a loose spoke. Can you bring it in on Tuesday afternoon?"),
    "caller-collects": "Is my repair ready for collection? The ticket number is seven four one nine.",
    "dave-confirms": "Yes, ticket seven four one nine is ready. We are open until six this evening.",
    "dealer-offers": (
        "I am calling from the trade fair in Edinburgh. We have a new electric cargo bicycle that may interest you."
    ),
    "alice-listens": "That sounds interesting. Please send me the data sheet and your price for ten of them.",
    "message-for-erin": (
        "Hello Erin, this is the insurance office. Your claim for the stolen van has been approved. "
        "Please call us back before Friday."
    ),
}
REVIEWS = {
    "outbound answered": ("Alice orders forty brake cables and twelve chains; they leave on Thursday.", "positive", 9),
    "inbound answered": ("A rear wheel clicks; Bob proposes Tuesday afternoon.", "neutral", 7),
    "queue answered": ("Ticket 7419 is ready for collection.", "positive", 8),
    "queue abandoned": ("The caller gave up waiting.", "negative", 2),
    "menu": ("A dealer offers an electric cargo bicycle; Alice asks for a data sheet and a price.", "positive", 8),
}
"""Summary, sentiment and score, by the kind of call."""


def transcripts(data: Path) -> dict[str, dict[str, Any]]:
    """What is known of each recording, by the uniqueid in its name: attributes as `PATCH /monitors/{id}` takes them."""
    calls = json.loads((data / "lab.json").read_text())["calls"]
    return {Path(call["recording"]).stem: _transcript(data, call) for call in calls if call["recording"]}


def _transcript(data: Path, call: dict[str, Any]) -> dict[str, Any]:
    summary, sentiment, score = REVIEWS.get(call["kind"], (None, None, None))
    spoken = [_part(data, line, call["said"][0]["at"]) for line in call["said"]]
    return {
        "transcript": " ".join(part["text"] for part in spoken) or None,
        "transcript_speakers": json_text(spoken) if spoken else None,
        "summary": summary,
        "sentiment": sentiment,
        "cx_score": score,
    }


def _part(data: Path, line: dict[str, str], first_at: str) -> dict[str, Any]:
    """One sentence; the first begins about a second after the recording does."""
    start_s = 1 + (datetime.fromisoformat(line["at"]) - datetime.fromisoformat(first_at)).total_seconds()
    speech = data / line["speech"]
    with wave.open(str(speech)) as sound:
        length_s = sound.getnframes() / sound.getframerate()
    times = {"start_s": round(start_s, 1), "end_s": round(start_s + length_s, 1)}
    return {"speaker": line["phone"], **times, "text": TEXTS[speech.stem]}
