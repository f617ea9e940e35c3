"""Files that are wrong: every problem at once, each with its file and line; no AWS, no Docker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import Cli
    from tests.end_to_end.conftest import Factory


def test_a_factory_that_is_right(files: Factory) -> None:
    assert "base, leaf, left, right, slow" in files.run("validate").expect(0).stdout
    assert files.run("validate", "--json").expect(0).json == {"ok": True, "problems": [], "warnings": []}


def test_broken_hcl(files: Factory) -> None:
    (files.image("left") / "image.hcl").write_text('description = "x"\nparent = {\n')
    ended = files.run("validate").expect(2)
    assert "Error: images/left/image.hcl:" in ended.stderr
    assert ended.stdout == ""


def test_an_unknown_key_and_what_was_meant(files: Factory) -> None:
    with (files.image("left") / "image.hcl").open("a") as file:
        file.write('max_aeg = "7d"\n')
    ended = files.run("validate").expect(2)
    assert "images/left/image.hcl:3: " in ended.stderr
    assert '"max_aeg"' in ended.stderr
    assert '"max_age"' in ended.stderr


def test_an_unknown_parent_and_what_was_meant(files: Factory) -> None:
    (files.image("left") / "image.hcl").write_text('description = "x"\nparent = "bsae"\n')
    ended = files.run("validate").expect(2)
    assert 'images/left/image.hcl:2: parent "bsae" is not an image; did you mean "base"?' in ended.stderr


def test_a_cycle_of_parents_shows_its_path(files: Factory) -> None:
    (files.image("left") / "image.hcl").write_text('description = "x"\nparent = "leaf"\n')
    ended = files.run("validate").expect(2)
    assert "leaf -> left -> leaf" in ended.stderr or "left -> leaf -> left" in ended.stderr


def test_a_missing_script(files: Factory) -> None:
    (files.image("right") / "provision/install.sh").unlink()
    ended = files.run("validate").expect(2)
    assert "images/right/build.pkr.hcl:5: " in ended.stderr
    assert "provision/install.sh" in ended.stderr


def test_a_variable_the_templates_do_not_declare(files: Factory) -> None:
    file = files.root / "images/_shared/variables.pkr.hcl"
    file.write_text(file.read_text().replace('variable "offline"', 'variable "off_line"'))
    ended = files.run("validate").expect(2)
    assert '"offline"' in ended.stderr


def test_a_spec_that_is_no_python(files: Factory) -> None:
    (files.image("right") / "spec/test_right.py").write_text("def test_x(host)\n")
    assert "images/right/spec/test_right.py:1: " in files.run("validate").expect(2).stderr


def test_all_problems_are_told_at_once(files: Factory) -> None:
    (files.image("left") / "image.hcl").write_text('description = "x"\nparent = "bsae"\n')
    (files.image("right") / "image.hcl").write_text('descripton = "x"\nparent = "base"\n')
    problems = files.run("validate", "--json").expect(2).json["problems"]
    assert {problem["file"] for problem in problems} == {
        "images/left/image.hcl",
        "images/right/image.hcl",
    }


def test_a_build_does_not_start_with_a_broken_configuration(files: Factory) -> None:
    (files.root / "factory.hcl").write_text('factory "x" {}\n')
    ended = files.run("build").expect(2)
    assert "Error: factory.hcl:1: " in ended.stderr
    assert not (files.root / ".amifactory/runs").exists()


def test_no_factory_here(make_cli: type[Cli], files: Factory) -> None:
    ended = make_cli(root=files.root.parent, sandbox=False).run("plan").expect(2)
    assert "factory.hcl: no such file" in ended.stderr
    assert "amifactory init" in ended.stderr


def test_mistakes_on_the_command_line(files: Factory) -> None:
    assert 'Did you mean "build"?' in files.run("biuld").expect(2).stderr
    assert "--jbos" in files.run("build", "--jbos", "3").expect(2).stderr
    assert "--jobs" in files.run("build", "--jobs", "0").expect(2).stderr
    ended = files.run("plan", "lfet", AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x").expect(2)
    assert '"lfet" is not an image of this factory' in ended.stderr
    assert 'Did you mean "left"?' in ended.stderr
