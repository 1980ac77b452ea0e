"""The Allure site of `make report`: it opens from a disk, asks nobody anything and runs nobody's script."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from fixtures.browser import Visit, Visitor
from fixtures.projects import REPOSITORY, Project, safety_toml

pytestmark = pytest.mark.slow

FAILING = "r1 / fraud / figstep: gate"
HOSTILE = (
    "<script>window.__pwned=1</script><img src=x onerror=window.__pwned=1>"
    "<a href=javascript:window.__pwned=1>x</a> {{7*7}} ${7*7} \x1b[31m\x1b]8;;http://evil.test\x07 \u202e"
)
OWN = {"aria-allowed-attr", "duplicate-id", "image-alt", "html-has-lang", "document-title"}
"""What our content could cause; the rest of axe's findings are about the site's own frame."""


def build(project: Project) -> str:
    """Build the site of a project's results as `make report` does, and return its address."""
    if shutil.which("node") is None or not (REPOSITORY / "node_modules/allure").is_dir():
        pytest.skip("the Allure site needs node and its packages: run `make report` once")
    (project.path / "node_modules").symlink_to(REPOSITORY / "node_modules")
    for name in ("allurerc.mjs", "site.mjs"):
        shutil.copy(REPOSITORY / name, project.path)
    program = project.path / "node_modules/allure/cli.js"
    generate = ["node", str(program), "generate", "reports/allure-results", "-c", "allurerc.mjs"]
    for command in (generate, ["node", "site.mjs"]):
        done = subprocess.run(command, cwd=project.path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return (project.path / "reports/site/allure/index.html").as_uri()


@pytest.fixture
def site(project: Project) -> str:
    """The site of a project one of whose four cases fails."""
    project.run("--alluredir=reports/allure-results")
    return build(project)


def opened(visit: Visitor, url: str, *, width: int = 1280, dark: bool = False) -> Visit:
    visited = visit(url, width=width, dark=dark)
    visited.page.get_by_text(FAILING).first.wait_for()
    return visited


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_failing_case_is_two_clicks_away(
    site: str, visit: Visitor, width: int, dark: bool
) -> None:
    visited = opened(visit, site, width=width, dark=dark)

    visited.page.get_by_text("Failed").first.click()
    visited.page.get_by_text(FAILING).first.click()
    visited.page.get_by_text(re.compile("FAIL: ASR 100.0%")).first.wait_for()

    assert visited.page.get_by_text("Category: degraded").count()
    assert (visited.complaints, visited.strangers, visited.dialogs) == ([], [], [])
    assert not [found for found in visited.violations() if found.split(" ")[0] in OWN]


def test_hostile_responses_and_ids_run_nothing(project: Project, visit: Visitor) -> None:
    candidate = 'by_cell = { "fraud/figstep" = 1.0 }'
    project.write(safety_toml(candidate=candidate, more='[report]\nattach = "full"\n'))
    project.run()
    text = HOSTILE.replace("'", "''")
    project.query(f"update completion set text = '{text}' || text")
    project.query(f"update cell set prompt = prompt || '{text}'")
    project.run("--safety-replay", "--alluredir=reports/allure-results")
    visited = opened(visit, build(project))

    visited.page.get_by_text(FAILING).first.click()
    for name in ("worst responses (FULL TEXT)", "decisions", "reasoning x answer", "intervals"):
        visited.page.get_by_text(name).first.click()
        visited.page.wait_for_timeout(300)

    assert visited.page.evaluate("window.__pwned") is None
    assert (visited.strangers, visited.dialogs, visited.complaints) == ([], [], [])
    assert "onerror" in visited.page.inner_text("body")


def test_the_index_leads_to_the_site(site: str, visit: Visitor) -> None:
    visited = visit(site.replace("allure/index.html", "index.html"))

    visited.page.get_by_role("link", name="All cases in Allure").click()

    visited.page.get_by_text(FAILING).first.wait_for()
    assert visited.strangers == []
