from __future__ import annotations

from amifactory.domain.model import AmiId
from amifactory.packer.machine_readable import Artifact, LeftOut, read_line
from amifactory.packer.record import Record

FAILED = r"""
1,,ui,say,==> null.worker: Launching a source AWS instance...
1,,ui,message,    null.worker: Instance ID: i-0abc
1,,ui,say,==> null.worker: Provisioning with shell script: provision/install-node.sh
1,,ui,message,    null.worker: amifactory:left-out:pnpm: offline
1,,ui,message,    null.worker: amifactory:left-out:pnpm: offline
1,,ui,error,==> null.worker: E: no such package
1,,ui,say,==> null.worker: Provisioning step had errors: ...
1,,ui,say,==> null.worker: Terminating the source AWS instance...
1,,ui,say,==> null.worker: No volumes to clean up%!(PACKER_COMMA) skipping
1,,ui,error,Build 'null.worker' errored: Script exited with non-zero exit status: 100.
1,,error-count,1
1,,ui,error,\n==> Some builds didn't complete successfully and had errors:
1,null.worker,error,Script exited with non-zero exit status: 100.Allowed exit codes are: [0]
1,,ui,error,--> null.worker: Script exited with non-zero exit status: 100.Allowed exit codes are: [0]
1,,ui,say,\n==> Builds finished but no artifacts were created.
"""

REFUSED = r"""
1,,ui,say,==> null.worker: Prevalidating AMI Name: worker-x
1,,ui,error,==> null.worker: Error querying AMI: not found\n==> null.worker: 	status code: 400
1,,ui,error,Build 'null.worker' errored: Error querying AMI: not found\n	status code: 400
1,null.worker,error,Error querying AMI: not found\n	status code: 400
1,,ui,error,--> null.worker: Error querying AMI: not found\n	status code: 400
"""

MISCONFIGURED = r"""
1,,ui,error,Error: Unknown source null.wrker\n\n  on  line 0:\n\nKnown: map[null.worker]\n\n
1,,ui,say,\n==> Wait completed after 2 microseconds
1,,ui,say,\n==> Builds finished but no artifacts were created.
"""


def record(output: str) -> Record:
    record = Record()
    for line in output.splitlines():
        for event in read_line(line):
            record.add(event)
    return record


def test_the_failing_step_is_not_the_clean_up_after_it() -> None:
    failed = record(FAILED)
    assert failed.has_errors
    assert failed.step == "provisioning with install-node.sh"
    assert failed.reason == "Script exited with non-zero exit status: 100."
    assert failed.step_output[-1] == "E: no such package"
    assert failed.instance_id == "i-0abc"
    assert failed.left_out == (LeftOut(tool="pnpm", why="offline"),)


def test_an_error_of_packer_itself_is_shown_once() -> None:
    refused = record(REFUSED)
    assert refused.step == "checking settings"
    assert refused.reason == "Error querying AMI: not found\n	status code: 400"
    assert list(refused.step_output).count("Error querying AMI: not found") == 1


def test_a_configuration_error_keeps_its_headline() -> None:
    misconfigured = record(MISCONFIGURED)
    assert misconfigured.step is None
    assert misconfigured.reason == "Error: Unknown source null.wrker"
    assert "Known: map[null.worker]" in misconfigured.step_output


def test_only_the_last_lines_are_kept() -> None:
    lines = "\n".join(f"1,,ui,message,    null.worker: line {number}" for number in range(100))
    assert record(lines).step_output == tuple(f"line {number}" for number in range(85, 100))


def test_an_ami_is_counted_once() -> None:
    line = "1,null.worker,artifact,0,id,eu-central-1:ami-0abc\n"
    assert record(line * 2).artifacts == (Artifact(ami_id=AmiId("ami-0abc"), region="eu-central-1"),)
