"""What belongs to one instance, and must not be older than it."""

from __future__ import annotations

import calendar
import itertools
import math
import re
import struct
import time
from typing import TYPE_CHECKING

from amifactory.probes.leaks.instance import PUBLIC_KEY

if TYPE_CHECKING:
    from amifactory.probes.leaks.instance import File, Instance

HOST_KEY = re.compile(r"/etc/ssh/ssh_host_\w+_key$")
_AUTHORIZED_KEYS = re.compile(r"/\.ssh/authorized_keys2?$")
_LOGINS = re.compile(r"/[bw]tmp[^/]*$")
_IDENTITIES = (
    ("host-key", HOST_KEY),
    ("machine-id", re.compile(r"^/(etc|var/lib/dbus)/machine-id$")),
    ("shell-history", re.compile(r"/(\.\w*history|fish_history|\.lesshst|\.viminfo)$")),
    ("cloud-init", re.compile(r"^/var/lib/cloud/(instances|data)/")),
    ("log", re.compile(r"^/var/log/")),
)
_NOTHING = {b"", b"uninitialized"}
"""An empty file; and what systemd has in ``machine-id`` before the first boot (machine-id(5))."""
_CLOCK_DOUBT = 5.0
"""Seconds: logs have whole ones, and the clock may be set right soon after boot."""


def identity_of(file: File, first: bytes, instance: Instance) -> str | None:
    """Returns the kind of an instance's own file that came with the AMI, given its first bytes."""
    if _AUTHORIZED_KEYS.search(file.path):
        keys = set(PUBLIC_KEY.findall(first))
        strangers = keys - instance.keys if instance.keys is not None else len(keys) > 1
        return "authorized-keys" if strangers or (keys and instance.had(file)) else None
    kind = next((kind for kind, path in _IDENTITIES if path.search(file.path)), None)
    if kind is None or first.strip(b"\0\n ") in _NOTHING:
        return None
    is_old = instance.had(file)
    if _LOGINS.search(file.path):
        is_old = first_login(first) < instance.booted_at - _CLOCK_DOUBT
    elif kind == "log":
        is_old = is_old or first_entry(first, instance.booted_at) < instance.booted_at - _CLOCK_DOUBT
    return kind if is_old else None


_LOGIN = {384: "<h338xi40x", 400: "<h342xq48x"}
"""Size of ``struct utmp``, on x86-64 and ARM, to where its ``ut_type`` and ``tv_sec`` are (glibc, utmp.h)."""
_USER_PROCESS = 7
"""Type of the entries that tell of a login; others tell of boots and shutdowns (utmp(5))."""
_EARLIEST = 1e9


def first_login(log: bytes) -> float:
    """Returns when the first login was that ``wtmp`` tells of.

    The shutdown of the build's instance is in it too, after everything was cleaned up.
    """
    sizes = (size for size in _LOGIN if len(log) % size == 0)
    entries = itertools.chain.from_iterable(struct.iter_unpack(_LOGIN[size], log) for size in sizes)
    return min((at for kind, at in entries if kind == _USER_PROCESS and at > _EARLIEST), default=math.inf)


_JOURNAL = b"LPKSHHRH"
_JOURNAL_HEAD = slice(184, 192)
"""Of its header, ``head_entry_realtime``, in microseconds (systemd, JOURNAL_FILE_FORMAT.md)."""
_ISO_TIME = re.compile(rb"(\d{4}-\d\d-\d\d)[T ]{1,2}(\d\d:\d\d:\d\d)(?:[.,]\d+)?(Z|[+-]\d\d:?\d\d)?")
_SYSLOG_TIME = re.compile(rb"(?:<\d+>)?([A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d) ")
_DAY = 86400
_LINE = 1000


def first_entry(log: bytes, booted_at: float) -> float:
    """Returns when a log's first entry was written, infinity when it does not say.

    A log that this boot wrote to may still begin with what was there before.
    """
    if log.startswith(_JOURNAL):
        return int.from_bytes(log[_JOURNAL_HEAD], "little") / 1e6 or math.inf
    line = log.lstrip().partition(b"\n")[0][:_LINE]
    iso, syslog = _ISO_TIME.search(line), _SYSLOG_TIME.match(line)
    if syslog:  # which leaves out the year
        year = time.gmtime(booted_at).tm_year
        moments = [
            _moment(f"{one} {syslog[1].decode()}", "%Y %b %d %H:%M:%S", "") for one in (year, year - 1)
        ]
        return next((one for one in moments if one < booted_at + _DAY), math.inf)
    if iso:
        day, hour, zone = iso.groups(b"")
        return _moment(f"{day.decode()} {hour.decode()}", "%Y-%m-%d %H:%M:%S", zone.decode())
    return math.inf


def _moment(written: str, form: str, zone: str) -> float:
    """Returns seconds since 1970; of a time without a zone the later of what it is here and in UTC."""
    try:
        parsed = time.strptime(written, form)
        here = time.mktime(parsed)
    except (ValueError, OverflowError):  # such as 29 February, of another year
        return math.inf
    if not zone:
        return max(float(calendar.timegm(parsed)), here)
    hours, minutes = (0, 0) if zone == "Z" else (int(zone[:3]), int(zone[0] + zone[-2:]))
    return float(calendar.timegm(parsed) - hours * 3600 - minutes * 60)
