"""The registries: cut off by port, those that Docker knows by itself too, and told when they still answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from amifactory.probes.measure.cutting_off import SINKS, endpoint_of

if TYPE_CHECKING:
    from tests.unit.probes.measure.conftest import MadeUp

HUB, HUB_ADDRESS = "registry-1.docker.io", "203.0.113.9"
MIRROR = "198.51.100.2"


def test_a_registry_is_cut_off_and_so_is_where_its_name_leads_afterwards(here: MadeUp) -> None:
    assert here.measured([], HUB)["cut_off"] == [HUB]
    assert here.forbidden == {(HUB_ADDRESS, 443), *((sink, None) for sink in SINKS)}
    assert not here.connects(HUB, 443)


def test_mirrors_and_proxies_that_docker_knows_are_cut_off_too(here: MadeUp) -> None:
    here.store("app:1")
    here.mirrors, here.proxy = (f"http://{MIRROR}:5000/",), "http://user:xxxxx@10.0.0.3:3128"
    here.listening |= {(MIRROR, 5000), ("10.0.0.3", 3128)}
    found = here.measured(["app:1"], HUB)
    assert found["cut_off"] == [HUB, f"{MIRROR}:5000", "10.0.0.3:3128"]
    assert found["prepull_problems"] == {}
    assert not here.connects(MIRROR, 5000)


def test_only_the_port_of_a_registry_is_cut_off(here: MadeUp) -> None:
    here.listening = {(MIRROR, 5000), (MIRROR, 22)}
    assert here.measured([], f"{MIRROR}:5000")["cut_off"] == [f"{MIRROR}:5000"]
    assert not here.connects(MIRROR, 5000)
    assert here.connects(MIRROR, 22)


def test_a_registry_that_still_answers_fails_every_image_and_is_not_called_cut_off(here: MadeUp) -> None:
    here.store("app:1", "app:2")
    here.mirrors, here.has_ip = (f"http://{MIRROR}:5000/",), False
    here.listening.add((MIRROR, 5000))
    found = here.measured(["app:1", "app:2", "app:3"], HUB)
    problem = (
        f"the registries cannot be cut off: {MIRROR}:5000 still answers (ip -4 rule add pref 100 to "
        f"{HUB_ADDRESS} ipproto tcp dport 443 unreachable: ip: No such file or directory)"
    )
    assert found["cut_off"] == [HUB]
    assert found["prepull_problems"] == {
        "app:1": problem,
        "app:2": problem,
        "app:3": "it is not on the instance",
    }
    assert found["first_run"] == {"app:1": 0.5, "app:2": 0.5}


def test_a_mirror_on_the_instance_itself_cannot_be_cut_off_and_that_is_said_each_time(here: MadeUp) -> None:
    here.store("app:1")
    here.mirrors = ("http://127.0.0.1:5000/",)
    here.listening.add(("127.0.0.1", 5000))
    for _ in range(2):
        assert here.measured(["app:1"], HUB)["prepull_problems"] == {
            "app:1": "the registries cannot be cut off: 127.0.0.1:5000 still answers"
        }


def test_a_way_that_nobody_named_shows_when_docker_still_pulls(here: MadeUp) -> None:
    here.store("app:1")
    found = here.measured(["app:1"])
    problem = "its registry cannot be cut off, and answers a pull with: the image"
    assert found["cut_off"] == []
    assert found["prepull_problems"] == {"app:1": problem}


def test_docker_is_asked_again_once_it_has_forgotten_old_addresses(here: MadeUp) -> None:
    here.store("app:1")
    here.relies_on_hosts_for = 4.0
    assert here.measured(["app:1"], HUB)["prepull_problems"] == {}
    assert sum(said.startswith("docker pull") for said in here.said) == 2


def test_localhost_keeps_its_address(here: MadeUp) -> None:
    here.mirrors = ("http://localhost:5000/", "http://mirror.example.com/")
    here.measured()
    assert here.hosts == {"mirror.example.com": list(SINKS)}


@pytest.mark.parametrize(
    ("text", "endpoint", "shown"),
    [
        ("registry.example.com", ("registry.example.com", 443), "registry.example.com"),
        ("registry.example.com:5000", ("registry.example.com", 5000), "registry.example.com:5000"),
        ("http://mirror.example.com/", ("mirror.example.com", 80), "mirror.example.com:80"),
        ("https://mirror.example.com/cache", ("mirror.example.com", 443), "mirror.example.com"),
        ("[2001:db8::1]", ("2001:db8::1", 443), "2001:db8::1"),
        ("http://user:xxxxx@proxy:3128", ("proxy", 3128), "proxy:3128"),
    ],
)
def test_endpoints_are_read_from_hosts_and_urls(text: str, endpoint: tuple[str, int], shown: str) -> None:
    assert endpoint_of(text) == endpoint
    assert str(endpoint_of(text)) == shown
