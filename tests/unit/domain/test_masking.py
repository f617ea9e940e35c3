"""Nothing that could be told from other text survives of a secret, and the rest stays readable."""

from __future__ import annotations

import base64
import html
import json
import string
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amifactory.domain.masking import MASKED, PIECE, Mask

if TYPE_CHECKING:
    from collections.abc import Callable

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- name: workers
  cluster:
    certificate-authority-data: {data}
    server: https://workers.example.com:6443
users:
- name: gitlab-runner
  user:
    token: "{token}"
    note: 'it''s'
current-context: workers
preferences: {{}}
"""

tokens = st.text(string.ascii_letters + string.digits + "+/=._-&<\\", min_size=PIECE, max_size=80)
WRITTEN: list[Callable[[str], str]] = [
    str,
    lambda text: repr(text)[1:-1],
    lambda text: repr(text.encode())[2:-1],
    lambda text: json.dumps(text)[1:-1],
    lambda text: html.escape(repr(text)[1:-1]),
    lambda text: html.escape(json.dumps(text)[1:-1], quote=False),
]


def kubeconfig(token: str) -> str:
    return KUBECONFIG.format(token=token, data=base64.b64encode(token.encode()).decode())


def survives(token: str, text: str) -> bool:
    return any(token[at : at + PIECE] in text for at in range(len(token) - PIECE + 1))


@given(token=tokens, write=st.sampled_from(WRITTEN), cut=st.data())
def test_no_piece_of_a_token_survives_however_it_is_written_and_cut(
    token: str, write: Callable[[str], str], cut: st.DataObject
) -> None:
    text = kubeconfig(token)
    whole = write(text)
    start = cut.draw(st.integers(0, len(whole)))
    end = cut.draw(st.integers(start, len(whole)))
    shown = f"E  AssertionError: assert 'x' in {whole[:start]}...{whole[end:]}\nE  +  {whole[start:end]}..."
    mask = Mask([text])
    for masked in (mask(shown), "\n".join(map(mask, shown.splitlines()))):
        assert not survives(write(token), masked)
        assert not survives(base64.b64encode(token.encode()).decode(), masked)


def test_each_line_of_a_file_is_masked_by_itself_and_common_words_stay() -> None:
    text = kubeconfig("eyJhbGciOiJSUzI1NiIsImtpZCI6")
    masked = "\n".join(map(Mask([text]), text.splitlines())) + "\n"
    assert masked == KUBECONFIG.format(data=MASKED, token=MASKED).replace(
        "https://workers.example.com:6443", MASKED
    )


@pytest.mark.parametrize(
    "line",
    [
        "images/base-docker/spec/test_gitlab_runner.py::test_it FAILED [ 50%]",
        "E  assert 'apiVersion: v1' in 'kind: Config'",
        "E  assert 'certificate-authority-data' in 'https://workers.example.com/'",
        "gitlab-runner is running",
        "",
    ],
)
def test_ordinary_lines_are_left_alone(line: str) -> None:
    assert Mask([kubeconfig("eyJhbGciOiJSUzI1NiIsImtpZCI6")])(line) == line


@pytest.mark.parametrize(
    ("value", "line", "masked"),
    [
        ("correct horse battery", "it is 'correct horse battery'", "it is '•••'"),
        ("correct horse battery", "it is 'correct horse b...", "it is '•••..."),
        ("correct horse battery", "it is '...rse battery'", "it is '...rse battery'"),
        ("pass\"w'rd&<9", "'pass\"w\\'rd&amp;&lt;9'", "'•••'"),
        ("it's pässw0rd", repr("it's pässw0rd".encode()), 'b"•••"'),
        ("a: b\npassword: correcthorsebattery\n", "got 'correcthorseb...", "got '•••..."),
        ("passwörd9", "b'passw\\xc3\\xb6rd9'", "b'•••'"),
        ("a: b\npassword: hunter22\n", "got hunter22", "got •••"),
        ("A=b\nPASSWORD=hunter22\n", "got hunter22", "got •••"),
        ('{"auths": {"r": {"auth": "dXNlcjpw"}}}', "'dXNlcjpw' of auths", "'•••' of auths"),
        ('{"file": "password: hunter22\\n"}', "got hunter22", "got •••"),
        ("one two three\nfour five six\n", "b'one two three\\nfour'", "b'•••\\nfour'"),
        ("one\ntwo\nthree\n", "b'one\\ntwo\\nthree\\n'", "b'•••\\n'"),
    ],
)
def test_what_is_masked(value: str, line: str, masked: str) -> None:
    assert Mask([value])(line) == masked


def test_what_is_too_short_to_be_told_from_other_text_is_left_alone() -> None:
    assert Mask(["", "root", " \n"])("root is root") == "root is root"
    assert Mask([])("anything") == "anything"
