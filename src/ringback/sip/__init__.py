"""Reading SIP and captures: pure, without I/O of its own, without a clock.

``packet`` what was captured; ``message`` one SIP message; ``sdp``, ``identities``, ``causes`` what is inside; ``masking``
what had better not be. ``frames`` and ``wire`` packets out of and into network frames; ``capture`` pcap files. ``dialog``
(with ``attempts`` and ``negotiation``) the messages of a Call-ID to its media session, ``dialogs`` those of many.
``reports`` what is said of media (``rtcp``, ``rtcp_json``, ``voice_reports``), ``quality`` (with ``heard`` and ``mos``) how a
call sounded. ``order`` (with ``causality``, ``clocks`` and ``graph``) cause before effect; ``legs`` which are of one call;
``trace`` the text that people read.
"""
