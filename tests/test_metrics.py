"""`/metrics`: closed but to its token, and true."""

from dataclasses import replace

from ringback.jobs import drop_blobs
from tests.api import Api

TOKEN = {"authorization": "Bearer metrics-secret"}


def test_metrics_are_for_whoever_has_their_token(api: Api) -> None:
    assert api.admin.get("//metrics").status == 401
    assert replace(api.nobody, headers={"authorization": "Bearer wrong"}).get("//metrics").status == 401
    assert replace(api.nobody, headers=TOKEN).get("//metrics").status == 200


def test_they_tell_of_requests_and_jobs(api: Api) -> None:
    scraper = replace(api.nobody, headers=TOKEN)
    api.admin.get("/users")
    api.write(lambda db: drop_blobs.enqueue(db, api.acme, [f"{api.acme}/monitors/1.mp3"]))
    lines = scraper.get("//metrics").body.decode().splitlines()
    assert 'ringback_requests_total{method="GET",route="/users",status="200"} 1.0' in lines
    assert "ringback_jobs_waiting 1.0" in lines
    api.run_jobs()
    lines = scraper.get("//metrics").body.decode().splitlines()
    assert "ringback_jobs_waiting 0.0" in lines
    assert 'ringback_jobs_total{kind="drop_blobs",outcome="done"} 1.0' in lines
