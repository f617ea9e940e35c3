from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amifactory.domain.references import parse_reference

DIGEST = "sha256:" + "0123456789abcdef" * 4
WORD = st.text("abz019", min_size=1, max_size=4)
COMPONENT = st.builds(
    lambda words, separator: separator.join(words),
    st.lists(WORD, min_size=1, max_size=3),
    st.sampled_from([".", "_", "__", "-", "--"]),
)
HOSTS = st.sampled_from(
    ["docker.io", "localhost", "localhost:5000", "registry.example.com", "127.0.0.1:5000", "[::1]:5000"]
)
TAGS = st.builds(lambda first, rest: first + rest, st.sampled_from("aZ_9"), st.text("aZ_9.-", max_size=9))


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("node", "docker.io/library/node:latest"),
        ("node:22", "docker.io/library/node:22"),
        ("docker.io/node:22", "docker.io/library/node:22"),
        ("index.docker.io/library/node:22", "docker.io/library/node:22"),
        ("grafana/grafana", "docker.io/grafana/grafana:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("registry.example.com:443/team/app:1.2-rc_3", "registry.example.com:443/team/app:1.2-rc_3"),
        (f"node@{DIGEST}", f"docker.io/library/node@{DIGEST}"),
        (f"node:22@{DIGEST}", f"docker.io/library/node:22@{DIGEST}"),
        (
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/ci:7",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/ci:7",
        ),
        ("[2001:db8::1]:5000/app:1", "[2001:db8::1]:5000/app:1"),
    ],
)
def test_short_forms_become_full(text: str, full: str) -> None:
    assert str(parse_reference(text)) == full


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":22",
        "Node:22",
        "node:",
        "node: 22",
        "node:22 ",
        "node:-1",
        "node@sha256:abc",
        f"node@{DIGEST.upper()}",
        "node@",
        "a//b",
        "-a",
        "a_",
        "a___b",
        "a..b",
        "/node",
        "node/",
        "registry.example.com/",
        "registry..example.com/app",
        "registry.example.com:port/app",
        "https://registry.example.com/app",
        "f" * 64,
        "a/" * 127 + "aaa",
        "node\n",
        "node:22\n",
    ],
)
def test_what_is_no_reference_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"reference|image id|longer") as caught:
        parse_reference(text)
    assert f'"{text}"' in str(caught.value)


@given(
    host=HOSTS,
    path=st.lists(COMPONENT, min_size=1, max_size=3),
    tag=st.none() | TAGS,
    digest=st.none() | st.just(DIGEST),
)
def test_the_full_form_is_its_own_full_form(
    host: str, path: list[str], tag: str | None, digest: str | None
) -> None:
    text = "/".join([host, *path]) + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    reference = parse_reference(text)
    assert parse_reference(str(reference)) == reference
    assert reference.host == host
    assert reference.path.endswith("/".join(path))
    assert reference.tag == (tag if tag or digest else "latest")


@given(st.text())
def test_any_text_is_a_reference_or_a_value_error(text: str) -> None:
    try:
        reference = parse_reference(text)
    except ValueError:
        return
    assert parse_reference(str(reference)) == reference
