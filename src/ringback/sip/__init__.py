"""Reading SIP and captures: pure, without I/O of its own, without a clock.

A message: ``packet`` what was captured; ``message`` what dialogs need of it, ``headers`` all of them; ``sdp``, ``identities``,
``causes`` what is inside; ``masking`` what had better not be.
``capture``: pcap files, by ``frames`` and ``streams`` in, by ``wire`` out; ``capture.hep`` as agents send packets.
``reports`` on media: ``rtcp``, ``rtcp_json``, ``voice_reports``; ``quality`` (``heard``, ``mos``) how a call sounded.
``order``: cause before effect, by ``causality``, ``bridges``, ``clocks``, ``graph``.
``dialogs``: each Call-ID a ``dialog`` (``attempts``, ``negotiation``) and its media ``session``; ``holding`` who holds; ``legs`` which are
of one call.
``registrations``: what became of a phone's, out of ``registers``.
For people: ``trace`` as text; ``ladder`` (``participants``, ``svg``, ``markup``); ``diagnosis`` what is wrong.
"""
