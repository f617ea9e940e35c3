"""The page: one whole document that needs nothing else, says everything, and lets no stranger speak."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from amifactory.domain.model import AmiId, Verdict
from amifactory.report.facts import Ancestor
from amifactory.report.html import render_html
from amifactory.report.page import make_page

if TYPE_CHECKING:
    from amifactory.report.facts import Facts
    from tests.unit.report.conftest import Example

VOID = {"meta", "link", "input"}
EVIL = "<script>alert('\"hacked\"')</script>"


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    def all(self, *tags: str) -> list[Element]:
        """Returns the elements of these kinds within, in the order of the document."""
        return [one for child in self.inside for one in (child, *child.all()) if not tags or one.tag in tags]

    @property
    def words(self) -> str:
        return " ".join([self.text, *(child.words for child in self.inside)])


class Reader(HTMLParser):
    """Reads a document, and sees to it that every element is closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.open[-1].inside.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].inside.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].text += data


def page_of(facts: Facts) -> Element:
    reader = Reader()
    reader.feed(render_html(make_page(facts)))
    assert reader.open == [reader.root]
    return reader.root


@pytest.fixture
def rich(example: type[Example]) -> Facts:
    """Returns facts of which every section has something to show, and something bad."""
    report = example.report()
    report["gates"][4] = {"gate": "leaks", "passed": False, "problem": "docker-auth in /root/x"}
    report["leaks"]["findings"] = [{"kind": "docker-auth", "file": "/root/x"}]
    report["leaks"]["allowed"] = [{"kind": "private-key", "file": "/opt/test.pem"}]
    report["leaks"]["not_searched"] = ["secret x: too short"]
    report["levers"] = [{"name": "FSR", "helps": "cold reads", "price_per_hour": 0.75, "note": "each zone"}]
    report["tests"]["cases"][1] |= {"outcome": "failed", "message": "assert 1 == 2"}
    report["cold_start"]["samples"] *= 3
    return example.facts(report=report, made={**example.facts().made, "left_out": ["helm: why"]})


@pytest.fixture
def poor(example: type[Example]) -> Facts:
    """Returns facts of a build of which nothing is known but its tags."""
    facts = example.facts(
        report={},
        made={},
        recipe=None,
        earlier=(),
        inventory=None,
        comparison=None,
        not_compared="it is the first",
        ancestors=(Ancestor(ami_id=AmiId("ami-gone"), name=None),),
        places=(),
    )
    return replace(facts, build=replace(facts.build, verdict=Verdict.CANDIDATE))


def test_it_needs_nothing_else(rich: Facts) -> None:
    page = page_of(rich)
    links = {
        value
        for element in page.all()
        for name, value in element.attributes.items()
        if name in {"src", "href", "srcset", "action", "data"} and value
    }
    assert all(link.startswith(("#", "data:image/svg+xml,")) for link in links), links
    (style,) = page.all("style")
    assert "url(" not in style.text
    assert "@import" not in style.text


def test_only_our_script_may_run_and_nothing_may_be_loaded(rich: Facts) -> None:
    page = page_of(rich)
    (script,) = page.all("script")
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    (policy,) = [
        str(meta.attributes["content"])
        for meta in page.all("meta")
        if meta.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert not [name for element in page.all() for name in element.attributes if name.startswith("on")]


@pytest.mark.parametrize("which", ["rich", "poor"])
def test_its_outline_is_sound(which: str, request: pytest.FixtureRequest) -> None:
    page = page_of(request.getfixturevalue(which))
    (html,) = page.all("html")
    assert html.attributes["lang"] == "en"
    headings = [int(element.tag[1]) for element in page.all("h1", "h2", "h3")]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert [len(page.all(landmark)) for landmark in ("header", "nav", "main", "footer")] == [1] * 4
    ids = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    targets = [str(link.attributes["href"])[1:] for link in page.all("a")]
    assert set(targets) <= set(ids)
    assert [section.attributes["id"] for section in page.all("section")] == targets[1:]
    labels = [section.attributes["aria-labelledby"] for section in page.all("section")]
    assert set(labels) <= set(ids)


def test_every_table_says_what_it_is_and_heads_its_rows(rich: Facts) -> None:
    tables = page_of(rich).all("table")
    assert len(tables) >= 12
    for table in tables:
        assert table.inside[0].tag == "caption"
        assert table.inside[0].words.strip()
        (body,) = table.all("tbody")
        for row in body.all("tr"):
            assert [cell.attributes.get("scope") for cell in row.all("th")] == ["row"]
        for row in (row for head in table.all("thead") for row in head.all("tr")):
            columns = [cell for cell in row.all("th") if cell.attributes.get("aria-hidden") != "true"]
            assert {cell.attributes.get("scope") for cell in columns} == {"col"}
            assert {len(one.all("th", "td")) for one in body.all("tr")} == {len(row.all("th"))}


def test_pictures_are_there_in_words(rich: Facts) -> None:
    page = page_of(rich)
    pictures = [element for element in page.all() if element.attributes.get("role") == "img"]
    assert [str(picture.attributes["aria-label"]).partition(":")[0] for picture in pictures] == [
        "From launch to ready",
        "Slowest first docker run",
    ]
    assert all(svg.attributes["aria-hidden"] == "true" for svg in page.all("svg"))
    assert "3 builds in figures" in page.words


def test_it_can_be_read_without_its_script(rich: Facts) -> None:
    page = page_of(rich)
    hidden = [element for element in page.all() if "hidden" in element.attributes]
    assert [element.attributes for element in hidden] == [{"data-filter": None, "hidden": None}]
    for text in ("openssl", "docker.service", "test_no_degraded_unit", "Packer 1.6.6", "/root/x"):
        assert text in page.words, text


def test_what_did_not_pass_is_open(rich: Facts) -> None:
    (spec,) = [one for one in page_of(rich).all("section") if one.attributes["id"] == "spec"]
    assert [("open" in file.attributes, file.all("code")[0].text) for file in spec.all("details")] == [
        (True, "node/spec/test_node.py"),
        (False, "_shared/spec/test_hygiene.py"),
    ]


def test_a_build_of_which_nothing_is_known_has_a_page(poor: Facts) -> None:
    text = " ".join(page_of(poor).words.split())
    assert "Not verified yet" in text
    assert "an AMI that is gone" in text
    assert "Not compared: it is the first." in text


def test_whatever_an_instance_calls_its_things_is_only_text(example: type[Example]) -> None:
    """An image's content is made by strangers: package names, file names, what a test prints."""
    report = example.report(instance_type=EVIL, levers=[])
    report["leaks"]["findings"] = [{"kind": EVIL, "file": EVIL}]
    report["tests"]["cases"][0] |= {"test": f"{EVIL}::{EVIL}", "outcome": "failed", "message": EVIL}
    report["gates"][0] |= {"passed": False, "problem": EVIL}
    report["timeline"][0]["name"] = EVIL
    report["cold_start"] = example.start(first_run={EVIL: 3.0})
    inventory = example.inventory(**{EVIL: EVIL})
    page = page_of(
        example.facts(
            report=report,
            made={"reasons": [EVIL], "left_out": [EVIL], "packer_version": EVIL},
            inventory=inventory,
            comparison=example.comparison(example.inventory(), inventory),
            places=((EVIL, EVIL),),
        )
    )
    assert len(page.all("script")) == 1
    assert page.words.count(EVIL) >= 15


def test_contents_of_the_script_and_style_stay_within(rich: Facts) -> None:
    text = render_html(make_page(rich))
    assert len(re.findall(r"</script", text)) == len(re.findall(r"</style", text)) == 1
