from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amifactory.domain.model import AmiId
from amifactory.packer.machine_readable import (
    Artifact,
    ErrorEvent,
    Event,
    InstanceLaunched,
    LeftOut,
    Ui,
    UiKind,
    Unstructured,
    escape,
    read_line,
    unescape,
)
from amifactory.packer.steps import Step


def say(text: str) -> Ui:
    return Ui(kind=UiKind.SAY, text=text)


@pytest.mark.parametrize(
    ("line", "events"),
    [
        (
            "1700000000,,ui,message,    amazon-ebs.worker: hello%!(PACKER_COMMA) world",
            (Ui(kind=UiKind.MESSAGE, text="hello, world"),),
        ),
        (
            "1700000000,,ui,error,==> amazon-ebs.worker: no such file",
            (Ui(kind=UiKind.ERROR, text="no such file"),),
        ),
        (
            "1700000000,,ui,message,    amazon-ebs.worker:     indented: yes",
            (Ui(kind=UiKind.MESSAGE, text="    indented: yes"),),
        ),
        (
            "1700000000,,ui,say,\\n==> Builds finished. The artifacts of successful builds are:",
            (say("==> Builds finished. The artifacts of successful builds are:"),),
        ),
        (
            "1700000000,,ui,say,==> amazon-ebs.worker: Launching a source AWS instance...",
            (Step(name="launching instance"), say("Launching a source AWS instance...")),
        ),
        (
            "1700000000,,ui,message,    amazon-ebs.worker: Instance ID: i-0123456789abcdef0",
            (
                Ui(kind=UiKind.MESSAGE, text="Instance ID: i-0123456789abcdef0"),
                InstanceLaunched(instance_id="i-0123456789abcdef0"),
            ),
        ),
        (
            "1700000000,,ui,message,    null.worker: amifactory:left-out:node: off%!(PACKER_COMMA) on",
            (
                Ui(kind=UiKind.MESSAGE, text="amifactory:left-out:node: off, on"),
                LeftOut(tool="node", why="off, on"),
            ),
        ),
        (
            "1700000000,amazon-ebs.worker,artifact,0,id,eu-central-1:ami-0abc%!(PACKER_COMMA)us-east-1:ami-1def",
            (
                Artifact(ami_id=AmiId("ami-0abc"), region="eu-central-1"),
                Artifact(ami_id=AmiId("ami-1def"), region="us-east-1"),
            ),
        ),
        ("1700000000,null.worker,artifact,0,id,Null", ()),
        ("1700000000,amazon-ebs.worker,artifact,0,builder-id,mitchellh.amazonebs", ()),
        (
            "1700000000,amazon-ebs.worker,error,Script exited with non-zero exit status: 3",
            (ErrorEvent(text="Script exited with non-zero exit status: 3"),),
        ),
        (
            "1700000000,,ui,error,Error: Unknown source\\n\\n  on  line 0:\\n",
            tuple(
                Ui(kind=UiKind.ERROR, text=text) for text in ("Error: Unknown source", "", "  on  line 0:")
            ),
        ),
        ("panic: runtime error", (Unstructured(text="panic: runtime error"),)),
        ("", ()),
        ("1700000000,,error-count,1\r\n", ()),
        ("1700000000,,of-a-later-version,x,y", ()),
    ],
)
def test_lines_as_packer_prints_them(line: str, events: tuple[Event, ...]) -> None:
    assert read_line(line) == events


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("Prevalidating AMI Name: x", Step(name="checking settings")),
        ("Waiting for SSH to become available...", Step(name="waiting for SSH")),
        (
            "Provisioning with shell script: provision/install-node.sh",
            Step(name="provisioning with install-node.sh"),
        ),
        (
            "Provisioning with shell script: /tmp/packer-shell28963",
            Step(name="provisioning with inline script"),
        ),
        ("Running local shell script: /tmp/packer-shell28963", Step(name="provisioning with inline script")),
        ("Uploading rootfs/ => /tmp/rootfs", Step(name="uploading rootfs/")),
        ("Stopping the source instance...", Step(name="stopping instance")),
        ("Creating AMI worker-x from instance i-0abc", Step(name="creating AMI")),
        ("Creating unencrypted AMI worker-x from instance i-0abc", Step(name="creating AMI")),
        ("Waiting for AMI to become ready...", Step(name="waiting for AMI")),
        ("Terminating the source AWS instance...", Step(name="cleaning up", is_cleanup=True)),
        (
            "Provisioning step had errors: Running the cleanup provisioner, if present...",
            Step(name="cleaning up", is_cleanup=True),
        ),
        ("Creating AMI tags", None),
    ],
)
def test_steps_are_told_from_what_the_builder_says(text: str, step: Step | None) -> None:
    events = read_line(f"1700000000,,ui,say,{escape('==> amazon-ebs.worker: ' + text)}")
    assert events == ((step, say(text)) if step else (say(text),))


@pytest.mark.parametrize("kind", ["message", "error"])
def test_a_provisioner_cannot_pretend_to_be_a_step(kind: str) -> None:
    prefix = "==> " if kind == "error" else "    "
    line = f"1700000000,,ui,{kind},{prefix}amazon-ebs.worker: Launching a source AWS instance..."
    assert not [event for event in read_line(line) if isinstance(event, Step)]


def is_escaped(text: str) -> bool:
    """Whether it reads as if Packer had escaped it already: that is told from the real thing by nobody."""
    return "\\" in text or "%!(PACKER_COMMA)" in text


@given(st.text().filter(lambda text: not is_escaped(text)))
def test_escaping_is_undone(text: str) -> None:
    value = escape(text)
    assert not set(value) & set(",\r\n")
    assert unescape(value) == text


@given(
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["C", "Z"]), min_size=1).filter(
        lambda text: not is_escaped(text)
    )
)
def test_what_a_provisioner_prints_arrives_unchanged(text: str) -> None:
    events = read_line(f"1700000000,,ui,message,{escape('    amazon-ebs.worker: ' + text)}")
    assert events[0] == Ui(kind=UiKind.MESSAGE, text=text)


GARBAGE = st.lists(
    st.sampled_from(
        ["0", "1700000000", ",", "ui", "say", "error", "artifact", "id", "\\n", "%!(PACKER_COMMA)"]
    )
    | st.text(max_size=5)
).map("".join)


@given(GARBAGE)
def test_no_line_is_too_strange_to_read(line: str) -> None:
    for event in read_line(line):
        assert isinstance(event, Event)


@given(st.binary())
def test_no_bytes_are_too_strange_to_read(data: bytes) -> None:
    read_line(data.decode(errors="replace"))
