"""What verification takes by hand: boot the AMI, wait for SSH, run pytest with testinfra, clean up.

Usage: bare_verify.py AMI_ID SPEC_FOLDER..., with AWS in the environment. Looks at AWS and SSH once a
second, as amifactory does in the sandbox, and shares one connection as it does. The last line is JSON: the
seconds from launch until SSH answers, and those of pytest.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

PAUSE = 1.0
SSH = """\
Host *
  BatchMode yes
  ConnectTimeout 5
  ControlPath {key}-%C
  IdentityFile {key}
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
"""


def main() -> None:
    """Verifies; ends with pytest's status."""
    ami_id, *specs = sys.argv[1:]
    ec2 = boto3.client("ec2")
    name = f"bare-{ami_id}-{time.time_ns()}"
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key"
        key.touch(mode=0o600)
        key.write_text(ec2.create_key_pair(KeyName=name, KeyType="ed25519")["KeyMaterial"])
        group = ec2.create_security_group(GroupName=name, Description=name)["GroupId"]
        ec2.authorize_security_group_ingress(
            GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0"
        )
        launched = time.perf_counter()
        instance = ec2.run_instances(
            ImageId=ami_id,
            InstanceType="t3.large",
            MinCount=1,
            MaxCount=1,
            KeyName=name,
            SecurityGroupIds=[group],
        )["Instances"][0]["InstanceId"]
        address = wait_running(ec2, instance)
        ssh = Path(folder) / "ssh_config"
        ssh.write_text(SSH.format(key=key))
        wait_ssh(address, ssh)
        answered = time.perf_counter()
        tests = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider"),
                *("--disable-plugin-autoload", "-p", "testinfra.plugin"),
                *(f"--hosts=ssh://admin@{address}", f"--ssh-config={ssh}", *specs),
            ],
            cwd=folder,
            check=False,
        )
        ended = time.perf_counter()
        ec2.terminate_instances(InstanceIds=[instance])
        delete_group(ec2, group)
        ec2.delete_key_pair(KeyName=name)
    print(json.dumps({"ssh": answered - launched, "spec": ended - answered}))
    sys.exit(tests.returncode)


def wait_running(ec2: Any, instance_id: str) -> str:
    """Returns the instance's address as soon as it runs."""
    while True:
        found = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
        if found["State"]["Name"] == "running":
            return str(found["PrivateIpAddress"])
        time.sleep(PAUSE)


def wait_ssh(address: str, configuration: Path) -> None:
    """Returns as soon as a command runs on the instance."""
    command = ["ssh", "-F", str(configuration), f"admin@{address}", "true"]
    while subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode:
        time.sleep(PAUSE)


def delete_group(ec2: Any, group: str) -> None:
    """Deletes a security group as soon as nothing is in it."""
    while True:
        try:
            ec2.delete_security_group(GroupId=group)
        except ClientError as error:
            if error.response["Error"]["Code"] != "DependencyViolation":
                raise
            time.sleep(PAUSE)
        else:
            return


if __name__ == "__main__":
    main()
