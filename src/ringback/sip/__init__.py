"""Reading SIP and captures: pure, without I/O of its own, without a clock.

A message: ``packet`` what was captured; ``message`` what dialogs need of it, ``headers`` all of them; ``sdp``, ``identities``,
``causes`` what is inside; ``masking`` what had better not be.
Captures: ``hep`` as agents send them; ``capture`` pcap files, with ``frames`` and ``streams`` on the way in, ``wire`` out.
Reports on media: ``reports``, of ``rtcp``, ``rtcp_json``, ``voice_reports``; ``quality`` (``heard``, ``mos``) how a call sounded.
Order: ``order`` cause before effect, by ``causality``, ``bridges``, ``clocks``, ``graph``.
Dialogs: ``dialog`` (``attempts``, ``negotiation``) a Call-ID to its media session, ``dialogs`` many; ``legs`` which are of one call.
Phones: ``registers`` one REGISTER, ``registrations`` what became of them.
For people: ``trace`` as text; ``ladder`` (``participants``) drawn by ``ladder_svg`` (``markup``); ``diagnosis`` what is wrong.
"""
