"""The gateway in front of moto: web pages and faults become AWS errors; calls and failures are kept."""

from __future__ import annotations

import json
import threading
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from amifactory.sandbox.driver import DriverError
from amifactory.sandbox.failures import Ledger
from amifactory.sandbox.failures_machine import FailingDriver
from amifactory.sandbox.moto_gateway import Gateway
from amifactory.sandbox.moto_lock import MotoLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PAGE = b"<!doctype html>\n<html lang=en><title>404 Not Found</title>"


def answering(status: str, body: bytes) -> Callable[..., Iterable[bytes]]:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        del environ
        start_response(status, [("Content-Type", "text/html")])
        return [body]

    return application


def raising(error: Exception) -> Callable[..., Iterable[bytes]]:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise error

    return application


def ask(gateway: Gateway, *, service: str = "iam", signed: bool = True, **more: Any) -> tuple[int, str]:
    scope = f"AKIAIOSFODNN7EXAMPLE/20260101/eu-central-1/{service}/aws4_request"
    body = more.pop("body", b"")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "QUERY_STRING": "Action=ListRoles",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
        **({"HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential={scope}, x"} if signed else {}),
        **more,
    }
    status: list[str] = []
    answer = b"".join(gateway(environ, lambda line, _: status.append(line)))
    return int(status[0].split()[0]), answer.decode()


@pytest.mark.parametrize(
    ("moto", "status", "code"),
    [
        (answering("404 NOT FOUND", PAGE), 400, "InvalidAction"),
        (answering("500 INTERNAL SERVER ERROR", PAGE), 500, "InternalError"),
        (answering("404 NOT FOUND", b""), 400, "InvalidAction"),
        (raising(NotImplementedError("the list_roles action")), 400, "InvalidAction"),
        (raising(ZeroDivisionError()), 500, "InternalError"),
    ],
)
def test_no_web_page_and_no_silence(moto: Any, status: int, code: str) -> None:
    got, text = ask(Gateway(MotoLock(), Ledger(), moto))
    assert (got, f"<Code>{code}</Code>" in text) == (status, True)


def test_the_lock_is_free_again_after_a_fault() -> None:
    lock = MotoLock()
    gateway = Gateway(lock, Ledger(), raising(ZeroDivisionError()))
    assert [ask(gateway)[0] for _ in range(2)] == [500, 500]
    with lock:
        pass


def test_an_error_of_moto_and_a_web_page_from_a_bucket_stay_what_they_are() -> None:
    error = b"<ErrorResponse><Error><Code>NoSuchEntity</Code></Error></ErrorResponse>"
    assert ask(Gateway(MotoLock(), Ledger(), answering("404 NOT FOUND", error)))[1] == error.decode()
    stored = Gateway(MotoLock(), Ledger(), answering("200 OK", PAGE))
    assert ask(stored, service="s3", REQUEST_METHOD="GET", QUERY_STRING="")[1] == PAGE.decode()


def test_the_admin_endpoint_is_for_this_machine_only() -> None:
    gateway = Gateway(MotoLock(), Ledger(), answering("200 OK", b""))
    health = {"REQUEST_METHOD": "GET", "PATH_INFO": "/amifactory/health", "QUERY_STRING": ""}
    assert ask(gateway, signed=False, **health) == (200, '{"ok": true}')
    assert ask(gateway, signed=False, REMOTE_ADDR="10.99.0.16", **health)[0] == 403
    assert ask(gateway, signed=False, REQUEST_METHOD="GET", PATH_INFO="/amifactory/none")[0] == 404


def test_failures_meet_what_they_name_and_count_down() -> None:
    gateway = Gateway(MotoLock(), Ledger(), answering("200 OK", b"fine"))
    failure = {"service": "iam", "operation": "ListRoles", "code": "Throttling", "message": "m", "times": 2}
    body = json.dumps(failure).encode()
    ask(gateway, signed=False, PATH_INFO="/amifactory/failures", QUERY_STRING="", body=body)
    answers = [ask(gateway, service=service)[0] for service in ("iam", "sts", "iam", "iam")]
    assert answers == [400, 200, 400, 200]
    calls = json.loads(ask(gateway, signed=False, REQUEST_METHOD="GET", PATH_INFO="/amifactory/calls")[1])
    assert [(call["service"], call["status"]) for call in calls] == [
        ("iam", 400),
        ("sts", 200),
        ("iam", 400),
        ("iam", 200),
    ]


class OneMachine:
    """A driver with one method and one value."""

    subnet = "10.0.0.0/20"

    def launch(self, what: str) -> str:
        return f"launched {what}"


def test_machines_fail_as_the_ledger_says() -> None:
    ledger = Ledger()
    driver = FailingDriver(OneMachine(), ledger)  # type: ignore[arg-type]
    for code in ("Nothing", "Broken"):
        failure = {"service": "machine", "operation": "launch", "code": code, "message": "no"}
        ledger.answer("POST", "failures", json.dumps(failure).encode())
    ledger.answer("POST", "failures", b'{"operation": "*", "code": "Any", "message": "not for machines"}')
    assert driver.launch("it") is None
    with pytest.raises(DriverError, match="no"):
        driver.launch("it")
    assert driver.launch("it") == "launched it"
    assert driver.subnet == "10.0.0.0/20"


def test_the_lock_lets_others_in_while_a_machine_is_slow() -> None:
    lock, inside = MotoLock(), threading.Event()

    def other() -> None:
        with lock:
            inside.set()

    with lock:
        thread = threading.Thread(target=other)
        thread.start()
        assert not inside.wait(0.05)
        with lock.released():
            assert inside.wait(5)
    thread.join()
