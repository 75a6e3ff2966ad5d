"""The signalling of a CDR's whole call."""

from ringback.resources.history.cdrs import CDRS
from ringback.resources.history.diagnoses import diagnosed
from ringback.resources.history.ladders import drawn, paged
from ringback.resources.history.traces import dumped, traced
from ringback.store import whole_calls

ENDPOINTS = (
    traced("/cdrs/{id}.trace", CDRS, whole_calls.of_cdr, "The SIP messages of all legs of the call as text"),
    dumped("/cdrs/{id}.pcap", CDRS, whole_calls.of_cdr, "The SIP messages of all legs of the call as a capture file"),
    drawn("/cdrs/{id}.svg", CDRS, whole_calls.of_cdr, "The SIP messages of all legs of the call as a ladder diagram"),
    paged("/cdrs/{id}.html", CDRS, whole_calls.of_cdr, "That diagram as a page with the messages to click on"),
    diagnosed("/cdrs/{id}/diagnosis", CDRS, whole_calls.of_cdr, "What is wrong with the call, in words"),
)
