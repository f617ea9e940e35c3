"""What validate finds in templates, scripts and specs without Packer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from amifactory.config.load import load
from amifactory.config.templates import check_templates
from amifactory.domain.variables import PASSED_VARIABLES

if TYPE_CHECKING:
    from pathlib import Path

BUILD = """build {
  sources = ["source.amazon-ebs.worker"]
  provisioner "shell" {
    scripts = ["provision/install.sh", "shared/provision/clean.sh"]
  }
  provisioner "file" {
    source      = "${path.root}/rootfs/"
    destination = "/tmp"
  }
  provisioner "file" {
    source      = "hooks/ready"
    destination = "/tmp"
  }
}
"""
SCRIPT = "#!/usr/bin/env bash\n"


class Tree:
    """A factory with one good image, to be spoiled."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("factory.hcl", 'factory "x" {\n  region = "eu-central-1"\n  state_bucket = "bucket"\n}\n')
        self.write(
            "images/base/image.hcl",
            'source_ami "d" {\nowner = "self"\nname = { x86_64 = "d" }\nssh_username = "admin"\n}\n',
        )
        self.write("images/base/build.pkr.hcl", BUILD)
        self.write("images/base/provision/install.sh", SCRIPT, mode=0o755)
        self.write("images/base/rootfs/etc/motd", "hello\n")
        self.write("images/base/spec/test_base.py", "def test_base(host):\n    pass\n")
        variables = "".join(f'variable "{name}" {{\n}}\n' for name in PASSED_VARIABLES)
        self.write("images/_shared/variables.pkr.hcl", variables)
        self.write("images/_shared/source.pkr.hcl", 'source "amazon-ebs" "worker" {\n  x = var.region\n}\n')
        self.write("images/_shared/provision/clean.sh", SCRIPT, mode=0o755)
        self.write("hooks/instance/ready", SCRIPT, mode=0o755)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text()
        assert old in text
        (self.root / path).write_text(text.replace(old, new))

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def problems(self) -> list[str]:
        return [str(problem) for problem in check_templates(load(self.root))]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_nothing_is_wrong_with_a_good_image(tree: Tree) -> None:
    assert tree.problems() == []
    assert tree.problems() == [], "nor when read from the cache"


def test_a_variable_no_template_declares(tree: Tree) -> None:
    tree.replace("images/_shared/variables.pkr.hcl", '"ssh_timeout"', '"ssh_timout"')
    assert tree.problems() == [
        (
            'images/_shared/variables.pkr.hcl: amifactory passes the variable "ssh_timeout", '
            'but no template declares it; did you mean "ssh_timout"?'
        )
    ]


def test_variables_may_be_declared_by_the_image_itself(tree: Tree) -> None:
    text = (tree.root / "images/_shared/variables.pkr.hcl").read_text()
    tree.remove("images/_shared/variables.pkr.hcl")
    tree.write("images/base/variables.pkr.hcl", text)
    assert tree.problems() == []


def test_a_missing_script(tree: Tree) -> None:
    tree.replace("images/base/build.pkr.hcl", "provision/install.sh", "provision/instal.sh")
    assert tree.problems() == [
        (
            'images/base/build.pkr.hcl:4: "provision/instal.sh" is not in the build context; '
            'did you mean "provision/install.sh"?'
        )
    ]


@pytest.mark.parametrize(
    "path", ["shared/spec/x.py", "spec/test_base.py", "image.hcl", "../base/x", "/etc/passwd"]
)
def test_a_file_the_build_context_leaves_out(tree: Tree, path: str) -> None:
    tree.write("images/_shared/spec/x.py", "")
    tree.replace("images/base/build.pkr.hcl", "hooks/ready", path)
    assert tree.problems() == [f'images/base/build.pkr.hcl:11: "{path}" is not in the build context']


def test_missing_files_of_every_origin(tree: Tree) -> None:
    tree.remove("images/_shared/provision/clean.sh")
    tree.remove("hooks/instance/ready")
    tree.remove("images/base/rootfs/etc/motd")
    (tree.root / "images/base/rootfs/etc").rmdir()
    (tree.root / "images/base/rootfs").rmdir()
    assert [problem.split(" is ")[0] for problem in tree.problems()] == [
        'images/base/build.pkr.hcl:4: "shared/provision/clean.sh"',
        'images/base/build.pkr.hcl:7: "rootfs/"',
        'images/base/build.pkr.hcl:11: "hooks/ready"',
    ]


def test_what_packer_computes_is_left_to_packer(tree: Tree) -> None:
    tree.replace("images/base/build.pkr.hcl", '"hooks/ready"', '"hooks/${var.region}"')
    assert tree.problems() == []


def test_a_script_that_is_not_executable_or_says_no_interpreter(tree: Tree) -> None:
    tree.write("images/base/provision/install.sh", "echo\n", mode=0o644)
    assert tree.problems() == [
        "images/base/provision/install.sh: not executable; run: chmod +x images/base/provision/install.sh",
        'images/base/provision/install.sh:1: no "#!" line; start it with #!/usr/bin/env bash',
    ]


def test_a_source_that_does_not_exist(tree: Tree) -> None:
    tree.replace("images/base/build.pkr.hcl", "amazon-ebs.worker", "amazon-ebs.wroker")
    assert tree.problems() == [
        (
            'images/base/build.pkr.hcl:2: source "source.amazon-ebs.wroker" does not exist; '
            'did you mean "source.amazon-ebs.worker"?'
        )
    ]


def test_a_build_without_sources(tree: Tree) -> None:
    tree.replace("images/base/build.pkr.hcl", '  sources = ["source.amazon-ebs.worker"]\n', "")
    assert tree.problems() == [
        'images/base/build.pkr.hcl:1: the build block names no source; write sources = ["…"]'
    ]


def test_no_build_block(tree: Tree) -> None:
    tree.remove("images/base/build.pkr.hcl")
    assert tree.problems() == ['images/base: no build block; write build.pkr.hcl with "build { … }"']


def test_a_template_that_is_not_hcl(tree: Tree) -> None:
    tree.write("images/base/extra.pkr.hcl", "locals {\n")
    (found,) = tree.problems()
    assert found.startswith("images/base/extra.pkr.hcl:1: unexpected end of file")


def test_a_rootfs_that_nothing_installs(tree: Tree) -> None:
    tree.replace("images/base/build.pkr.hcl", "${path.root}/rootfs/", "hooks/ready")
    (found,) = tree.problems()
    assert found.startswith("images/base: rootfs/ is there, but nothing in build.pkr.hcl lays it over /")


def test_an_image_without_a_spec(tree: Tree) -> None:
    tree.remove("images/base/spec/test_base.py")
    (found,) = tree.problems()
    assert found.startswith("images/base: no spec; ")


def test_a_spec_that_does_not_compile(tree: Tree) -> None:
    tree.write("images/base/spec/test_base.py", "import os\ndef test_x(:\n    pass\n")
    assert tree.problems() == ["images/base/spec/test_base.py:2: not Python: invalid syntax"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            'provisioner "shell"',
            'provisoner "shell"',
            'images/base/build.pkr.hcl:3: unknown block "provisoner"; did you mean "provisioner"?',
        ),
        (
            "build {",
            'sourse "x" "y" {\n}\nbuild {',
            'images/base/build.pkr.hcl:1: unknown block "sourse"; did you mean "source"?',
        ),
        (
            'destination = "/tmp"\n  }\n}',
            'destination = "${local.stagin}/x"\n  }\n}\nlocals {\n  staging = "/tmp"\n}',
            'images/base/build.pkr.hcl:12: "local.stagin" is not declared; did you mean "staging"?',
        ),
        (
            'destination = "/tmp"\n  }\n}',
            "destination = var.nowhere\n  }\n}",
            'images/base/build.pkr.hcl:12: "var.nowhere" is not declared',
        ),
    ],
)
def test_mistakes_in_packers_language(tree: Tree, old: str, new: str, expected: str) -> None:
    tree.replace("images/base/build.pkr.hcl", old, new)
    assert tree.problems() == [expected]


def test_a_script_that_is_not_shell(tree: Tree) -> None:
    tree.write("images/base/provision/install.sh", f"{SCRIPT}if true; then\n", mode=0o755)
    assert tree.problems() == ["images/base/provision/install.sh:3: syntax error: unexpected end of file"]


def test_a_spec_that_imports_what_is_not_there(tree: Tree) -> None:
    tree.write("images/base/spec/test_base.py", "import json\nimport nosuchmodule.x\n\ndef test(): pass\n")
    assert tree.problems() == [
        (
            'images/base/spec/test_base.py:2: imports "nosuchmodule", '
            "which is not installed where amifactory runs"
        )
    ]
