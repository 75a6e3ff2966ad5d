"""The thread of a part of the connection to Asterisk that has files to see to."""

from queue import SimpleQueue

from ringback.connectors.asterisk.worker import Worker

PATIENCE_S = 30.0


def test_what_goes_wrong_in_a_step_is_told_and_the_next_one_is_tried() -> None:
    told: SimpleQueue[str] = SimpleQueue()

    def step() -> None:
        raise OSError("the folder is away")

    made = Worker("voicemail", step, told.put)
    made.start()
    made.start()
    assert told.get(timeout=PATIENCE_S) == told.get(timeout=PATIENCE_S) == "voicemail waits: the folder is away"
    assert made.stop()


def test_what_was_stopped_does_not_begin_again() -> None:
    done: SimpleQueue[int] = SimpleQueue()
    made = Worker("voicemail", lambda: done.put(1), print)
    made.start()
    assert done.get(timeout=PATIENCE_S)
    assert made.stop()
    made.start()
    assert made.stop()
