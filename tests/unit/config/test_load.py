"""Every kind of mistake in the configuration has its own sentence, file and line."""

from __future__ import annotations

import textwrap
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from amifactory.config.load import load
from amifactory.domain.model import Architecture
from amifactory.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from amifactory.config.models import Configuration

FACTORY = """
    factory "example" {
      region       = "eu-central-1"
      state_bucket = "example-state"
    }
"""
BASE = """
    source_ami "debian-12" {
      owner        = "136693071363"
      name         = { x86_64 = "debian-12-amd64-*" }
      ssh_username = "admin"
    }
"""


def write(root: Path, factory: str = FACTORY, **images: str) -> Path:
    (root / "factory.hcl").write_text(textwrap.dedent(factory).lstrip())
    for name, text in images.items():
        folder = root / "images" / name.replace("_", "-")
        folder.mkdir(parents=True)
        (folder / "image.hcl").write_text(textwrap.dedent(text).lstrip())
    return root


def loaded(root: Path, factory: str = FACTORY, **images: str) -> Configuration:
    return load(write(root, factory, **images))


def problems(root: Path, factory: str = FACTORY, **images: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(root, factory, **images)
    return str(caught.value).splitlines()


def test_a_whole_factory_loads(tmp_path: Path) -> None:
    factory = (
        FACTORY
        + """
    build {
      subnet_id       = "subnet-0123456789abcdef0"
      timeout         = "90m"
      jobs            = 2
      registry_mirror = "https://mirror.example.com/"
      registry "registry.example.com" {
        credentials = "ci/registry"
      }
    }
    """
    )
    node = """
    parent    = "base"
    tools     = { node = "22.11.0" }
    prepull   = ["node:22-bookworm-slim"]
    max_age   = "7d"
    secret "kubeconfig" {
      id    = "ci/kubeconfig"
      path  = "/home/gitlab-runner/.kube/config"
      owner = "gitlab-runner"
    }
    verify {
      timeout = "15m"
    }
    """
    configuration = loaded(tmp_path, factory, node=node, base=BASE)
    build = configuration.factory.build
    assert (build.timeout, build.jobs) == (timedelta(minutes=90), 2)
    assert build.registry_mirror == "https://mirror.example.com"
    assert build.registries[0].host == "registry.example.com"
    assert list(configuration.images) == ["base", "node"]
    image = configuration.images["node"]
    assert (image.name, image.parent, image.folder) == ("node", "base", tmp_path / "images/node")
    assert (image.tools, image.prepull) == ({"node": "22.11.0"}, ("node:22-bookworm-slim",))
    assert (image.max_age, image.verify.timeout) == (timedelta(days=7), timedelta(minutes=15))
    assert (image.secrets[0].name, image.secrets[0].mode, image.secrets[0].when) == (
        "kubeconfig",
        "0600",
        "boot",
    )
    assert image.source is None
    source = configuration.images["base"].source
    assert source is not None
    assert (source.os, source.name[Architecture.X86_64]) == ("debian-12", "debian-12-amd64-*")
    assert configuration.parents == {"base": None, "node": "base"}


def test_the_second_load_uses_the_cache_and_says_the_same(tmp_path: Path) -> None:
    first = loaded(tmp_path, base=BASE, node='parent = "base"\n')
    assert (tmp_path / ".amifactory/cache/config.json").exists()
    assert load(tmp_path) == first


def test_os_chooses_the_source_ami(tmp_path: Path) -> None:
    other = BASE.replace("debian-12", "ubuntu-24-04")
    image = loaded(tmp_path, base=f'    os = "ubuntu-24-04"\n{BASE}{other}').images["base"]
    assert image.source is not None
    assert image.source.os == "ubuntu-24-04"


def test_instance_types_are_one_for_all_or_one_for_each(tmp_path: Path) -> None:
    images = loaded(
        tmp_path,
        base=BASE,
        one='parent = "base"\ninstance_type = "c7i.large"\n',
        each="""
            parent        = "base"
            instance_type = { arm64 = "c7g.large" }
            verify {
              instance_type = "t3.small"
            }
        """,
    ).images
    assert images["one"].instance_type_for(Architecture.X86_64) == "c7i.large"
    assert images["each"].instance_type_for(Architecture.X86_64) == "t3.large"
    assert images["each"].instance_type_for(Architecture.ARM64) == "c7g.large"
    assert images["each"].verify_instance_type_for(Architecture.X86_64) == "t3.small"
    assert images["one"].verify_instance_type_for(Architecture.X86_64) == "c7i.large"


def test_the_sandbox_leaves_out_what_only_the_account_has(tmp_path: Path) -> None:
    factory = (
        FACTORY + '    build {\n      instance_profile = "ci"\n      jobs = 5\n      offline = true\n    }\n'
    )
    sandboxed = loaded(tmp_path, factory, base=BASE).for_sandbox(
        registry_mirror="http://10.0.0.2:5000", instance_profile="amifactory-sandbox"
    )
    build = sandboxed.factory.build
    assert (build.instance_profile, build.jobs, build.offline) == ("amifactory-sandbox", 5, True)
    assert build.registry_mirror == "http://10.0.0.2:5000"


def test_folders_that_are_not_images(tmp_path: Path) -> None:
    (tmp_path / "images/_shared").mkdir(parents=True)
    (tmp_path / "images/.git").mkdir()
    (tmp_path / "images/README.md").touch()
    assert list(loaded(tmp_path, base=BASE).images) == ["base"]


def test_no_factory_here(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"factory\.hcl: no such file") as caught:
        load(tmp_path)
    assert "amifactory init" in str(caught.value.hint)


def test_a_folder_without_image_hcl(tmp_path: Path) -> None:
    (tmp_path / "images/node").mkdir(parents=True)
    (found,) = problems(tmp_path)
    assert found.startswith("images/node/image.hcl: no such file; every folder in images/ has one")


def test_a_bad_image_name(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, Node=BASE)
    assert found.startswith(
        'images/Node/image.hcl: folder name "Node" is not a name; use up to 32 lower-case'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('regoin = "x"', '4: unknown key "regoin"; did you mean "region"?'),
        ("jobs {\n}", '4: unknown block "jobs"'),
        ('region = "eu-west-1"', '4: "region" is given twice; the first is on line 2'),
    ],
)
def test_mistakes_in_the_factory_block(tmp_path: Path, text: str, expected: str) -> None:
    factory = f'factory "example" {{\nregion = "eu-central-1"\nstate_bucket = "example-state"\n{text}\n}}\n'
    assert problems(tmp_path, factory) == [f"factory.hcl:{expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jobs = 0", '2: "jobs" must be at least 1, not 0'),
        ("jobs = 65", '2: "jobs" must be at most 64, not 65'),
        ('jobs = "3"', '2: "jobs" must be a whole number, not "3"'),
        ("jobs = 1.5", '2: "jobs" must be a whole number, not the number 1.5'),
        ('offline = "yes"', '2: "offline" must be true or false, not "yes"'),
        (
            "offline = var.offline",
            '2: "offline" is computed by var.offline; only plain values can stand here',
        ),
        (
            'subnet_id = "subnet-${var.id}"',
            '2: "subnet_id" is computed by "subnet-${var.id}"; only plain values can stand here',
        ),
        ('security_group_ids = "sg-1"', '2: "security_group_ids" must be a list, ["value"], not "sg-1"'),
        ('subnet_id = "net-1"', '2: subnet_id "net-1" does not look like "subnet-0123456789abcdef0"'),
        (
            'ssh_interface = "public"',
            (
                '2: "ssh_interface" must be "private_ip" or "public_ip", '
                'not "public"; did you mean "public_ip"?'
            ),
        ),
        ('timeout = "1 hour"', '2: timeout "1 hour" is not a duration; write "30s", "5m", "2h" or "7d"'),
        ("timeout = 60", '2: timeout 60 is not a duration; write "30s", "5m", "2h" or "7d"'),
        (
            'kms_key_id = "alias/x"',
            '1: "kms_key_id" is set, but "encrypt" is false; set "encrypt = true"',
        ),
        (
            'tool_mirror = "mirror.example.com"',
            '2: tool_mirror "mirror.example.com" is not a web address, such as "https://mirror.example.com"',
        ),
        ('registry {\ncredentials = "x"\n}', '2: write this block as registry "host" { … }'),
        ('registry "r.example.com" {\n}', '2: missing key "credentials"'),
        (
            'registry "a.b" {\ncredentials = "x"\n}\nregistry "a.b" {\ncredentials = "x"\n}',
            '5: registry "a.b" is given twice; the first is on line 2',
        ),
        ('registry = "x"', '2: "registry" is a block; write registry { … } without "="'),
        ("timeout {\n}", '2: "timeout" is a key; write timeout = …'),
        ("jobs = null\njobs = 3", '3: "jobs" is given twice; the first is on line 2'),
        ("jobs = 1 offline = true", "2: each key and each block needs a line of its own"),
    ],
)
def test_mistakes_in_the_build_block(tmp_path: Path, text: str, expected: str) -> None:
    factory = f"build {{\n{text}\n}}\n{textwrap.dedent(FACTORY)}"
    assert problems(tmp_path, factory) == [f"factory.hcl:{expected}"]


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        ("build {\n}\nbuild {\n}\n", 'factory.hcl:3: block "build" is given twice; the first is on line 1'),
        ('chanel "staging" {\n}\n', 'factory.hcl:1: unknown block "chanel"; did you mean "channel"?'),
        ('factory "My Factory" {\n}\n', 'factory.hcl:1: name "My Factory" is not a name'),
        ('factory "x" {\n', 'factory.hcl:1: unexpected end of file; a closing "}"'),
    ],
)
def test_mistakes_in_factory_hcl(tmp_path: Path, factory: str, expected: str) -> None:
    found = problems(tmp_path, factory)
    assert any(line.startswith(expected) for line in found), found


def test_a_missing_factory_block(tmp_path: Path) -> None:
    assert problems(tmp_path, "build {\n}\n") == ['factory.hcl: missing block factory "name" { … }']


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'architecture = ["x86_64"]',
            '2: unknown key "architecture"; did you mean "architectures"?',
        ),
        ('name = "node"', '2: unknown key "name"'),
        ('folder = "node"', '2: unknown key "folder"'),
        (
            'architectures = ["x86_65"]',
            '2: "architectures" must be "x86_64" or "arm64", not "x86_65"; did you mean "x86_64"?',
        ),
        ("architectures = []", '2: "architectures" must not be empty'),
        ('architectures = ["x86_64", "x86_64"]', '2: architectures has "x86_64" twice'),
        ("tools = { node = 22 }", '2: "tools.node" must be a string, not the number 22'),
        (
            'tools = {\nnode = "1"\nNode = "2"\n}',
            '4: tools "Node" is not a tool\'s name; use lower-case letters, digits, "-" and "_"',
        ),
        ('tools = ["node"]', '2: "tools" must be an object, { key = "value" }, not a list'),
        ("tools {\n}", '2: "tools" is a key; write tools = …'),
        (
            'checksums = { "a.tar" = "12" }',
            '2: checksums.a.tar "12" is not a SHA-256; write its 64 lower-case hexadecimal digits',
        ),
        ('prepull = ["node:22", "node:22"]', '2: prepull has "node:22" twice'),
        ("max_age = 7", '2: max_age 7 is not a duration; write "30s", "5m", "2h" or "7d"'),
        ('instance_type = "large"', '2: instance_type.x86_64 "large" does not look like "t3.large"'),
        ('os = "debian"', '2: "os" chooses between source_ami blocks; an image with a parent has none'),
        ('verify {\nregression = "20"\n}', '3: regression "20" is not a percentage; write "20%"'),
        ('verify {\nregression = "0%"\n}', '3: regression "0%" is not a percentage; write "20%"'),
        (
            'verify {\nallow_leaks = ["/opt/key.pem"]\n}',
            (
                '3: allow_leaks "/opt/key.pem" is not a kind and a path, '
                'such as "private-key:/opt/example/*.pem"'
            ),
        ),
        (
            'drain {\non = ["spott"]\n}',
            '3: "on" must be "spot" or "rebalance" or "termination", not "spott"; did you mean "spot"?',
        ),
        ('verify {\nboot_timout = "5m"\n}', '3: unknown key "boot_timout"; did you mean "boot_timeout"?'),
        ('fleet "x" {\n}', '2: unknown block "fleet"'),
        ("description = 3 + 4", '2: "description" is computed by 3 + 4; only plain values can stand here'),
    ],
)
def test_mistakes_in_an_image(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, base=BASE, node=f'parent = "base"\n{text}\n')
    assert found[0] == f"images/node/image.hcl:{expected}"


@pytest.mark.parametrize(
    "reference", ["Node:22", "node:", "node@sha256:12", "https://example.com/node", "node 22", ":22", ""]
)
def test_bad_container_references(tmp_path: Path, reference: str) -> None:
    (found,) = problems(
        tmp_path, base=BASE, node=f'parent = "base"\nprepull = [\n"node:22",\n"{reference}"\n]\n'
    )
    assert found.startswith(f'images/node/image.hcl:4: prepull "{reference}" is not a container image')


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('mode = "600"', '5: mode "600" is not a file mode; write four octal digits, such as "0600"'),
        ('mode = "0999"', '5: mode "0999" is not a file mode; write four octal digits, such as "0600"'),
        ("mode = 384", '5: "mode" must be a string, not the number 384'),
        (
            'owner = "Root"',
            '5: owner "Root" is not a user name; write "gitlab-runner" or "gitlab-runner:docker"',
        ),
        ('when = "always"', '5: "when" must be "boot" or "build", not "always"'),
        ('format = "yaml"', '5: "format" must be "text" or "kubeconfig", not "yaml"'),
        ('value = "hunter2"', '5: unknown key "value"'),
    ],
)
def test_mistakes_in_a_secret(tmp_path: Path, line: str, expected: str) -> None:
    node = f'parent = "base"\nsecret "token" {{\nid = "ci/token"\npath = "/etc/token"\n{line}\n}}\n'
    assert problems(tmp_path, base=BASE, node=node) == [f"images/node/image.hcl:{expected}"]


@pytest.mark.parametrize(
    "path", ["token", "~/token", "/etc/../token", "/etc/", "/", "/a b", "//etc/token", ""]
)
def test_bad_secret_paths(tmp_path: Path, path: str) -> None:
    node = f'parent = "base"\nsecret "token" {{\nid = "ci/token"\npath = "{path}"\n}}\n'
    assert problems(tmp_path, base=BASE, node=node) == [
        f'images/node/image.hcl:4: path "{path}" is not the absolute path of a file, such as "/etc/ci/token"'
    ]


def test_two_secrets_in_one_file(tmp_path: Path) -> None:
    secret = 'secret "{}" {{\nid = "x"\npath = "/etc/token"\n}}\n'
    node = f'parent = "base"\n{secret.format("a")}{secret.format("b")}{secret.format("a")}'
    assert problems(tmp_path, base=BASE, node=node) == [
        'images/node/image.hcl:10: secret "a" is given twice; the first is on line 2'
    ]
    (tmp_path / "images/node/image.hcl").write_text(
        f'parent = "base"\n{secret.format("a")}{secret.format("b")}'
    )
    with pytest.raises(ConfigError, match='6: secret has "/etc/token" twice'):
        load(tmp_path)


def test_a_secret_of_the_same_name_at_another_path_than_an_ancestors(tmp_path: Path) -> None:
    secret = 'secret "a" {{\nid = "x"\npath = "{}"\n}}\n'
    base, node = f"{BASE}{secret.format('/etc/a')}", f'parent = "base"\n{secret.format("/etc/b")}'
    (found,) = problems(tmp_path, base=base, node=node)
    assert found.startswith('images/node/image.hcl:2: secret "a" is also one of image "base", ')
    (tmp_path / "images/node/image.hcl").write_text(f'parent = "base"\n{secret.format("/etc/a")}')
    load(tmp_path)


def test_parent_that_is_not_an_image(tmp_path: Path) -> None:
    assert problems(tmp_path, base_docker=BASE, node='description = "x"\nparent = "base-dokcer"\n') == [
        'images/node/image.hcl:2: parent "base-dokcer" is not an image; did you mean "base-docker"?'
    ]


def test_both_parent_and_source(tmp_path: Path) -> None:
    assert problems(tmp_path, base=BASE, node='parent = "base"\n' + textwrap.dedent(BASE)) == [
        "images/node/image.hcl:1: both parent and source_ami are given; an image is built on one of them"
    ]


def test_neither_parent_nor_source(tmp_path: Path) -> None:
    assert problems(tmp_path, node='description = "x"\n') == [
        "images/node/image.hcl: neither parent nor source_ami is given; an image is built on one of them"
    ]


def test_a_cycle_shows_its_path(tmp_path: Path) -> None:
    images = {
        "node": 'parent = "java"\n',
        "java": 'description = "x"\nos = "x"\nparent = "node"\n',
        "self": 'parent = "self"\n',
    }
    assert problems(tmp_path, **images) == [
        'images/java/image.hcl:2: "os" chooses between source_ami blocks; an image with a parent has none',
        "images/java/image.hcl:3: parents go in a circle: java -> node -> java",
        "images/self/image.hcl:1: parents go in a circle: self -> self",
    ]


def test_an_architecture_the_parent_lacks(tmp_path: Path) -> None:
    node = 'parent = "base"\narchitectures = ["x86_64", "arm64"]\n'
    assert problems(tmp_path, base=BASE, node=node) == [
        'images/node/image.hcl:2: parent "base" is not built for architecture "arm64"'
    ]


def test_an_architecture_the_source_lacks(tmp_path: Path) -> None:
    assert problems(tmp_path, base=f'    architectures = ["arm64"]\n{BASE}') == [
        'images/base/image.hcl:1: source_ami "debian-12" names no AMI for architecture "arm64"'
    ]


def test_one_instance_type_for_two_architectures(tmp_path: Path) -> None:
    base = BASE.replace("{ x86_64", '{ arm64 = "debian-*", x86_64')
    base = f'    architectures = ["x86_64", "arm64"]\n    instance_type = "t3.large"\n{base}'
    (found,) = problems(tmp_path, base=base)
    assert found.startswith(
        'images/base/image.hcl:2: "t3.large" has one architecture; write instance_type = {'
    )


def test_an_os_without_its_block(tmp_path: Path) -> None:
    assert problems(tmp_path, base=f'    os = "debian-13"\n{BASE}') == [
        'images/base/image.hcl:1: os "debian-13" has no source_ami block; did you mean "debian-12"?'
    ]


def test_all_problems_of_all_files_come_together(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "bulid {\n}\n" + textwrap.dedent(FACTORY),
        base=BASE.replace("owner", "onwer"),
        java="parent = \n",
        node='parent = "jvaa"\nmax_age = 3\nmax_age = 4\n',
    )
    assert found == [
        'factory.hcl:1: unknown block "bulid"; did you mean "build"?',
        'images/base/image.hcl:1: missing key "owner"',
        'images/base/image.hcl:2: unknown key "onwer"; did you mean "owner"?',
        "images/java/image.hcl:1: the line ends before its value",
        'images/node/image.hcl:1: parent "jvaa" is not an image; did you mean "java"?',
        'images/node/image.hcl:3: "max_age" is given twice; the first is on line 2',
        'images/node/image.hcl:3: max_age 4 is not a duration; write "30s", "5m", "2h" or "7d"',
    ]
