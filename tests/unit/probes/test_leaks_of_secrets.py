"""Secret values: which parts of them give them away, and that these are found however they are written."""

from __future__ import annotations

import base64
import json
import random
import re
import string
import textwrap
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from amifactory.probes.leaks.disk import CHUNK, OVERLAP
from amifactory.probes.leaks.needles import Needles, fold
from amifactory.probes.leaks.values import parts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.probes.conftest import Disk

PASSWORD = "Tr0ub4dor/&<3>+zq"
RANDOM = random.Random(5)  # noqa: S311  # the same each time


def random_text(length: int) -> str:
    return "".join(RANDOM.choices(string.ascii_letters + string.digits, k=length))


def pem(kind: str, lines: int = 20) -> str:
    body = "\n".join(random_text(64) for _ in range(lines))
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"


TOKEN, KEY, CERTIFICATE = random_text(900), pem("RSA PRIVATE KEY"), pem("CERTIFICATE")
KUBECONFIG = f"""\
apiVersion: v1
kind: Config
current-context: ci@example-cluster-1234567890
clusters:
- name: example-cluster-1234567890
  cluster:
    certificate-authority-data: {base64.b64encode(CERTIFICATE.encode()).decode()}
    server: https://0A1B2C3D4E5F.gr7.eu-central-1.eks.amazonaws.com
users:
- name: ci
  user:
    client-certificate-data: {base64.b64encode(CERTIFICATE.encode()).decode()}
    client-key-data: {base64.b64encode(KEY.encode()).decode()}
    token: {TOKEN}
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: aws-iam-authenticator
      args:
      - --cluster-id
      - example-cluster-1234567890
      - --role
      - arn:aws:iam::123456789012:role/ExampleRole2
"""


def wrapped(text: bytes, width: int, indent: str = "") -> bytes:
    return textwrap.indent("\n".join(textwrap.wrap(text.decode(), width)), indent).encode()


def go_json(text: str) -> str:
    return re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


WAYS: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda text: text.encode(),
    "JSON": lambda text: json.dumps({"password": text}).encode(),
    "JSON with slashes escaped": lambda text: json.dumps(text).replace("/", "\\/").encode(),
    "JSON as Go writes it": lambda text: go_json(text).encode(),
    "in a query": lambda text: f"?password={quote_plus(text)}".encode(),
    "in an address": lambda text: f"https://user:{quote(text, safe='')}@host/".encode(),
    "in a path": lambda text: quote(text).encode(),
    "in an address, in lower case": lambda text: re.sub("%..", lambda m: m[0].lower(), quote(text)).encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 after 1 byte": lambda text: base64.b64encode(b"x" + text.encode() + b"y"),
    "base64 after 2 bytes": lambda text: base64.b64encode(b"xy" + text.encode() + b"z"),
    "URL-safe base64": lambda text: base64.urlsafe_b64encode(text.encode()),
    "Docker's auth": lambda text: json.dumps(
        {"auth": base64.b64encode(f"user:{text}".encode()).decode()}
    ).encode(),
    "base64 in lines of 76": lambda text: base64.encodebytes(b"-" * 50 + text.encode() * 3),
    "base64 in lines of 64": lambda text: wrapped(base64.b64encode(b"." * 40 + text.encode()), 64),
    "base64 in lines of 8, indented": lambda text: wrapped(base64.b64encode(text.encode()), 8, "    "),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "secret", [PASSWORD, "correct horse battery", "pässwörd", random_text(300), "a\"b\\c'd/e"]
)
def test_a_secret_is_found_however_it_is_written(disk: Disk, way: str, secret: str) -> None:
    disk.put("/opt/app/settings", b"some text\n" + WAYS[way](secret) + b"\nmore text\n")
    assert disk.leaks(secret) == {("secret-value", "/opt/app/settings")}


SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=8, max_size=200).filter(
    lambda text: text == text.strip() and len(set(text)) >= 4 and text[0] not in "{["
)


@settings(deadline=None)
@given(SECRETS, st.sampled_from(sorted(WAYS)), st.binary(max_size=300), st.binary(max_size=300))
def test_any_secret_is_found_in_any_form_wherever_it_stands(
    secret: str, way: str, before: bytes, after: bytes
) -> None:
    parts, left_out = parts_of(secret.encode())
    raw = before + b"\n" + WAYS[way](secret) + b"\n" + after
    assert not left_out
    assert Needles(parts).within(raw, fold(raw))


@settings(deadline=None)
@given(st.lists(SECRETS, min_size=1, max_size=30, unique=True), st.data(), st.binary(max_size=300))
def test_each_of_many_secrets_is_found(secrets: list[str], data: st.DataObject, before: bytes) -> None:
    needles = Needles(part for secret in secrets for part in parts_of(secret.encode())[0])
    secret = data.draw(st.sampled_from(secrets))
    raw = before + data.draw(st.sampled_from(sorted(WAYS.items())))[1](secret)
    assert needles.within(raw, fold(raw)) >= parts_of(secret.encode())[0]


@settings(deadline=None)
@given(st.text(string.ascii_letters, min_size=8, max_size=60), st.data())
def test_what_differs_in_one_character_is_not_found(secret: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(secret) - 1))
    other = secret[:position] + secret[position].swapcase() + secret[position + 1 :]
    assume(len(set(secret)) >= 4)
    assert not Needles(parts_of(secret.encode())[0]).within(other.encode(), fold(other.encode()))


@pytest.mark.parametrize("length", [8, 40, 2000])
@pytest.mark.parametrize("offset", [-2000, -41, -20, -1, 0, 1, 7])
def test_a_secret_across_the_border_of_two_chunks_is_found(disk: Disk, length: int, offset: int) -> None:
    secret = random_text(length)
    disk.put("/var/big", b"\1" * (CHUNK + offset) + secret.encode() + b"\1" * 100)
    assert disk.leaks(secret) == {("secret-value", "/var/big")}


def test_wrapped_base64_across_the_border_of_two_chunks_is_found(disk: Disk) -> None:
    encoded = base64.encodebytes(b"." * OVERLAP + PASSWORD.encode() + b"." * OVERLAP)
    for position in range(CHUNK - 30_000, CHUNK, 5_000):
        disk.put("/var/big", b"\1" * position + encoded)
        assert disk.leaks(PASSWORD), position


def found_in(secret: str, text: str) -> bool:
    raw = text.encode()
    return bool(Needles(parts_of(secret.encode())[0]).within(raw, fold(raw)))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"Authorization: Bearer {TOKEN}", id="token"),
        pytest.param(TOKEN[:700], id="most of the token"),
        pytest.param(base64.b64encode(KUBECONFIG.encode()).decode(), id="all of it in base64"),
        pytest.param(json.dumps(KUBECONFIG), id="all of it in JSON"),
        pytest.param(KEY, id="decoded key"),
        pytest.param(KEY.splitlines()[7], id="one line of the key"),
        pytest.param(json.dumps({"key": KEY}), id="key in JSON"),
        pytest.param(base64.b64encode(KEY.encode()).decode(), id="encoded key"),
    ],
)
def test_a_kubeconfig_is_known_by_what_is_secret_in_it(text: str) -> None:
    assert found_in(KUBECONFIG, text)


def test_another_kubeconfig_for_the_same_cluster_is_none_of_it() -> None:
    other = KUBECONFIG.replace(TOKEN, random_text(900))
    other = re.sub("client-key-data: .*", f"client-key-data: {random_text(1200)}", other)
    assert not found_in(KUBECONFIG, other)
    assert not found_in(KUBECONFIG, base64.b64encode(other.encode()).decode())
    assert not found_in(KUBECONFIG, CERTIFICATE)
    assert Needles(parts_of(KUBECONFIG.encode())[0]).within(KUBECONFIG.encode(), fold(KUBECONFIG.encode()))


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        pytest.param(
            '{"username": "ci", "password": "hunter2hunter2"}', "hunter2hunter2", id="password in JSON"
        ),
        pytest.param(
            '{"username": "ci", "password": "hunter2hunter2"}',
            base64.b64encode(b"ci:hunter2hunter2").decode(),
            id="Docker's auth of a password in JSON",
        ),
        pytest.param('{"a": {"tokens": ["x", "glrt-0123456789abcd"]}}', "glrt-0123456789abcd", id="nested"),
        pytest.param('{"pin_key": 1234567890123}', "1234567890123", id="number"),
        pytest.param(
            json.dumps({"auths": {"host": {"auth": base64.b64encode(b"ci:hunter2hunter2").decode()}}}),
            "hunter2hunter2",
            id="Docker configuration",
        ),
        pytest.param(json.dumps({"private_key": KEY}), KEY.splitlines()[3], id="lines in JSON"),
        pytest.param("A=1\nexport API_TOKEN='hunter2hunter2'\n", "hunter2hunter2", id="environment file"),
        pytest.param("A=1\nDB_URL=postgres://me:hunter2hunter2@db/x\n", "hunter2hunter2", id="address"),
        pytest.param("https://me:hunter2hunter2@db/x", "hunter2hunter2", id="only an address"),
        pytest.param('{"dsn": "pg://me:hunter2hunter2@db/x"}', "hunter2hunter2", id="address in JSON"),
        pytest.param(KEY, KEY.splitlines()[9], id="a line of a key"),
        pytest.param("first\nsk9F8e7D6c5B4a3210 x\n", "sk9F8e7D6c5B4a3210", id="words"),
    ],
)
def test_the_secret_in_a_structure_is_found_alone(secret: str, text: str) -> None:
    assert found_in(secret, f"x {text} y")


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ('{"username": "gitlab-ci-token-42", "password": "hunter2hunter2"}', "gitlab-ci-token-42"),
        ('{"host": "registry-01.example.com", "password": "hunter2hunter2"}', "registry-01.example.com"),
        ("A=1\nREGISTRY_HOST=registry-01.example.com\nTOKEN=hunter2hunter2\n", "registry-01.example.com"),
        (
            "url: https://registry-01.example.com/v2\ntoken: hunter2hunter2\n",
            "https://registry-01.example.com/v2",
        ),
        (f"{CERTIFICATE}{KEY}", CERTIFICATE),
    ],
)
def test_what_is_no_secret_is_not_looked_for(secret: str, text: str) -> None:
    assert not found_in(secret, text)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("hunter2", "it is"),
        ("", "it is"),
        ("aaaaaaaaaaaa", "it is"),
        ("one\ntwo\n", "it is"),
        ('{"password": "short"}', "it is"),
        ('{"password": "short", "token": "hunter2hunter2"}', "a part of it is"),
        ("password: short\ntoken: hunter2hunter2\n", "a part of it is"),
    ],
)
def test_what_cannot_be_searched_is_said(disk: Disk, value: str, what: str) -> None:
    report = disk.report({"registry": value})
    assert report["not_searched"] == [f"registry: {what} too short or too plain to be told from other text"]


def test_what_can_be_searched_is_not_complained_of(disk: Disk) -> None:
    assert disk.report({"a": PASSWORD, "b": KUBECONFIG})["not_searched"] == []


def test_a_finding_names_the_secret(disk: Disk) -> None:
    disk.put("/etc/x", PASSWORD)
    assert disk.report({"other": random_text(30), "registry": PASSWORD})["findings"] == [
        {"kind": "secret-value", "file": "/etc/x", "secret": "registry"}
    ]


@settings(deadline=None, max_examples=30)  # each starts a process
@given(SECRETS, st.sampled_from(sorted(WAYS)))
def test_no_output_contains_a_secret(new_disk: Callable[[], Disk], secret: str, way: str) -> None:
    name = re.sub("[/\0]", "", secret).encode()[:200].decode(errors="ignore")
    assume(len(name) >= 8 and len(set(name)) >= 4 and name == name.strip() and name[0] not in "{[")
    made = new_disk()
    made.put(f"/srv/{name}/data", WAYS[way](name))
    report = made.report({"it": name})
    assert report == {
        "files": 1,
        "bytes": len(WAYS[way](name)),
        "seconds": report["seconds"],
        "findings": [{"kind": "secret-value", "file": "/srv/***/data", "secret": "it"}],
        "allowed": [],
        "unreadable": 0,
        "not_searched": [],
        "unread": [],
    }


def test_no_path_spells_a_secret(disk: Disk) -> None:
    disk.put("/opt/hunter2/hunter3", "")
    assert disk.report({"it": "hunter2/hunter3"})["findings"] == [
        {"kind": "secret-value", "file": "/***", "secret": "it"}
    ]
