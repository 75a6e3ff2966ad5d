"""Secrets in signalling are masked before anything is stored, where a setting says so."""

from dataclasses import replace
from pathlib import Path

from ringback.importers import Options
from ringback.importers.catalogue import IMPORTERS
from ringback.sip import capture
from ringback.sip.packet import Packet
from tests.api import Api
from tests.collecting import collecting, hep, send_tcp, settled
from tests.importers.test_pcap import Watch
from tests.test_captures import talk

HASH = "6629fae49393a05397450978507c4ef1"
CREDENTIALS = f'Authorization: Digest username="ann", response="{HASH}"\r\nCSeq:'


def secretive() -> list[Packet]:
    invite, *others = talk()
    return [invite._replace(payload=invite.payload.replace(b"CSeq:", CREDENTIALS.encode())), *others]


def trace_of(api: Api) -> str:
    (msdr,) = api.admin.listed("/msdrs")
    return api.admin.get(f"/msdrs/{msdr['id']}.trace").body.decode()


def test_what_agents_send_is_masked(api: Api) -> None:
    with collecting(api, sip_mask="yes") as collector:
        send_tcp(collector, [hep(each) for each in secretive()])
        settled(collector, 6)
    assert CREDENTIALS.replace(HASH, 32 * "*") in trace_of(api)


def test_what_a_capture_holds_is_masked(api: Api, tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    path.write_bytes(b"".join(capture.write(secretive())))
    services = replace(api.services, settings=replace(api.services.settings, sip_mask="yes"))
    IMPORTERS["pcap"].run(services, api.acme, path, Options(), Watch())
    assert CREDENTIALS.replace(HASH, 32 * "*") in trace_of(api)


def test_without_the_setting_every_byte_stays(api: Api) -> None:
    with collecting(api) as collector:
        send_tcp(collector, [hep(each) for each in secretive()])
        settled(collector, 6)
    assert CREDENTIALS in trace_of(api)
