"""How jobs come to this worker, how that is stopped, and whether one still runs.

A worker that **registered itself** runs gitlab-runner as a service. SIGQUIT makes it take no more jobs, let
the running ones end, and end itself (GitLab Runner commands, "Signals"; more of them do no harm). systemd
must leave it down: its unit says ``Restart=always``.

To any other worker a runner manager comes **over SSH** (executors ``instance`` and ``docker-autoscaler``):
one connection for each job, kept until the job ends. ``/run/nologin`` makes PAM refuse new connections and
leaves those alone that exist. So a job that runs is not disturbed, and one that the manager sends now fails
before its first command, which is safe to retry, and not half-way. A manager with the feature flag
``FF_USE_FLEETING_ACQUIRE_HEARTBEATS`` tries a connection before it gives a job away, and sends it elsewhere.
What this cannot do is in docs/draining.md.
"""

from __future__ import annotations

import pwd
import re
from signal import SIGQUIT, SIGTERM
from typing import TYPE_CHECKING, Protocol

from host import replace_file

if TYPE_CHECKING:
    from pathlib import Path

    from host import Host

UNIT = "gitlab-runner.service"
STAY_DOWN = f"run/systemd/system/{UNIT}.d/amifactory-drain.conf"
"""In /run, so that the next boot knows nothing of it."""
CONFIG = "etc/gitlab-runner/config.toml"
REGISTERED = re.compile(r"^\s*\[\[\s*runners\s*\]\]", re.MULTILINE)
JOB_LABEL = "com.gitlab.gitlab-runner.job.id"
"""GitLab Runner puts it on every container of a job."""
SSHD = {"sshd", "sshd-session"}
"""Names of the process that serves a connection, before and since OpenSSH 9.8."""
QUIET_SECONDS = 15.0
"""For how long nothing must be seen: between the steps of a job no container of it runs."""


class Worker(Protocol):
    """One way in which jobs come."""

    def take_no_more(self) -> None:
        """Keeps new jobs away; done again it does nothing."""

    def busy(self) -> str | None:
        """Returns what still runs, or None."""

    def abort(self) -> None:
        """Ends what still runs, where that is better than to have it cut off."""

    def unregister(self) -> bool:
        """Makes GitLab forget this worker; returns whether it has."""


class SelfRegistered:
    """A worker with a gitlab-runner of its own."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._asked: set[tuple[int, int]] = set()

    def is_here(self) -> bool:
        """Whether gitlab-runner runs as a service, or is about to be started again."""
        return self._process() != 0 or self._restarts()

    def take_no_more(self) -> None:
        """Asks gitlab-runner to end after its jobs, and systemd to leave it down."""
        self._stay_down()
        if process := self._process():
            self._signal(process, SIGQUIT)
        elif self._restarts():
            self._systemctl("stop", "--no-block", UNIT)

    def busy(self) -> str | None:
        """Returns which gitlab-runner has not ended yet."""
        process = self._process()
        return f"gitlab-runner, process {process}, ends its jobs" if process else None

    def abort(self) -> None:
        """Has gitlab-runner abort its jobs: GitLab hears of it from it, and not only an hour later."""
        if process := self._process():
            self._signal(process, SIGTERM)

    def unregister(self) -> bool:
        """Unregisters every runner of the configuration, which has the tokens; no other program sees them."""
        config = self._host.root / CONFIG
        if not registered(config):
            return True
        ended = self._host.run(
            ["gitlab-runner", "unregister", "--all-runners", "--config", str(config)], None
        )
        left = registered(config)
        # Its own words stay out of the journal, and it ends with 0 even if GitLab did not answer.
        how = f"exit status {ended.returncode}, {left} left" if left else "done"
        self._host.say(f"gitlab-runner unregister: {how}")
        return not left

    def _signal(self, process: int, number: int) -> None:
        if (process, number) in self._asked:
            return
        try:
            self._host.kill(process, number)
        except ProcessLookupError:
            return
        self._asked.add((process, number))
        self._host.say(f"sent signal {number} to gitlab-runner, process {process}")

    def _stay_down(self) -> None:
        drop_in = self._host.root / STAY_DOWN
        if not drop_in.exists():
            replace_file(drop_in, "[Service]\nRestart=no\n")
            self._systemctl("daemon-reload")

    def _process(self) -> int:
        return int(self._show()["MainPID"])

    def _restarts(self) -> bool:
        return self._show()["SubState"] == "auto-restart"

    def _show(self) -> dict[str, str]:
        text = self._systemctl("show", UNIT, "--property=MainPID,SubState")
        return dict(line.split("=", 1) for line in text.splitlines())

    def _systemctl(self, *arguments: str) -> str:
        ended = self._host.run(["systemctl", *arguments], None)
        if ended.returncode != 0:
            raise OSError(f"systemctl {' '.join(arguments)}: {ended.stderr.strip()}")
        return ended.stdout


class OverSsh:
    """A worker that a runner manager comes to."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._seen_at = host.now()

    def take_no_more(self) -> None:
        """Refuses new connections of anybody but root; what is written is what they are told."""
        file = self._host.root / "run/nologin"
        if not file.exists():
            replace_file(file, "This instance is about to be taken away and takes no more jobs.\n")
            self._host.say("new SSH connections are refused")

    def busy(self) -> str | None:
        """Returns which connections and containers of jobs there are, or have been a moment ago."""
        sessions, containers = ssh_sessions(self._host.root / "proc"), self._containers()
        if sessions or containers:
            self._seen_at = self._host.now()
            return f"{sessions} SSH connections, {containers} containers of jobs"
        return "nothing for a moment" if self._host.now() - self._seen_at < QUIET_SECONDS else None

    def abort(self) -> None:
        """Does nothing: the job is the manager's."""

    def unregister(self) -> bool:
        """Returns True: there is nothing to."""
        return True

    def _containers(self) -> int:
        """Where Docker is not there or does not run, no container does."""
        asked = ["docker", "ps", "--quiet", f"--filter=label={JOB_LABEL}"]
        return len(self._host.run(asked, None).stdout.split())


def registered(config: Path) -> int:
    """Returns how many runners a config.toml has; none if there is no such file."""
    try:
        return len(REGISTERED.findall(config.read_text(errors="replace")))
    except OSError:
        return 0


def ssh_sessions(processes: Path) -> int:
    """Returns how many SSH connections users other than root have, from ``/proc``."""
    not_users = {0, _uid_of("sshd")}
    return sum(
        1
        for status in processes.glob("[0-9]*/status")
        if (found := _name_and_user(status)) is not None and found[0] in SSHD and found[1] not in not_users
    )


def _name_and_user(status: Path) -> tuple[str, int] | None:
    try:
        fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
    except OSError:
        return None
    return fields["Name"], int(fields["Uid"].split()[0])


def _uid_of(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return 0
