"""JDKs and the build tools on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

    from amifactory.spec.plugin import Facts

COMPILE_AND_RUN = """
set -e
work=$(mktemp -d)
cd $work
echo 'class Hello { public static void main(String[] words) { System.out.print(words[0]); } }' > Hello.java
/opt/jdk-%(major)s/bin/javac --release %(major)s Hello.java
/opt/jdk-%(major)s/bin/java -cp . Hello works
rm -r $work
"""


def test_jdk_17_compiles_and_runs(host: Host) -> None:
    assert host.run(COMPILE_AND_RUN % {"major": 17}).stdout == "works"


@pytest.mark.needs_tool("jdk-21")
def test_jdk_21_compiles_and_runs(host: Host) -> None:
    assert host.run(COMPILE_AND_RUN % {"major": 21}).stdout == "works"


def test_jobs_on_the_instance_have_a_java_home(host: Host) -> None:
    home = host.check_output("sudo --login --user gitlab-runner printenv JAVA_HOME")
    assert host.file(f"{home}/bin/javac").exists


def test_maven_is_the_pinned_version(host: Host, facts: Facts) -> None:
    """Offline it is the distribution's, whichever that is."""
    said = host.check_output("mvn --version")
    assert "Apache Maven 3." in said if facts.offline else f"Apache Maven {facts.tools['maven']} " in said


@pytest.mark.needs_tool("gradle")
def test_gradle_is_the_pinned_version(host: Host, facts: Facts) -> None:
    assert f"Gradle {facts.tools['gradle']}" in host.check_output("gradle --version --no-daemon")
