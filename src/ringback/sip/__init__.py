"""Reading SIP and captures: pure, without I/O of its own, without a clock.

``packet`` what was captured; ``message`` one SIP message; ``sdp``, ``rtcp``, ``causes`` what is inside;
``frames`` and ``wire`` packets out of and into network frames; ``capture`` pcap files; ``dialogs`` messages to
media sessions; ``trace`` the text that people read.
"""
