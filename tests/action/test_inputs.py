"""Reading inputs and writing the log, as far as no step is needed."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from action.errors import Problem
from action.inputs import DEFAULTS, Inputs, read, spellings
from action.tasks import EXIT_CODES
from action.workflow import Workflow, harmless
from entrypoint.errors import MEANINGS
from tests.action.conftest import ACTION, ROOT, unescaped

ENVIRON = {"GITHUB_REPOSITORY": "acme/shop"}
# The inputs and outputs of the actions that this one replaces.
MAJOR0 = (
    *("name", "token", "labels", "workdir", "context", "task-definition", "cluster"),
    *("launch-type", "subnets", "subnets-tag", "security-groups", "security-groups-tag", "debug"),
)
PASSEI_DIRETO = (
    *("github_pat", "task_definition", "cluster", "wait", "task_count", "capacity_provider"),
    *("task_role_arn", "execution_role_arn", "task_params_file"),
)
OUTPUTS = ("id", "runner_id", "arn", "aws_task_arn", "task_arn", "aws_task_id", "ipaddr", "task_id")


def inputs(**texts: str) -> Inputs:
    """Read inputs as a step of a repository does."""
    return read(texts, ENVIRON)


def test_the_action_has_the_inputs_of_the_program() -> None:
    """action.yml has each input of the program with all its names, and no other input."""
    wanted = list(itertools.chain.from_iterable(map(spellings, DEFAULTS)))
    assert list(ACTION["inputs"]) == wanted
    for name in DEFAULTS:
        for alias in spellings(name)[1:]:
            assert ACTION["inputs"][alias]["description"] == f"The same as `{name}`."


def _complaints(**texts: str) -> str:
    try:
        inputs(**texts)
    except Problem as problem:
        return problem.message
    return ""


def test_the_defaults_are_described() -> None:
    """Defaults are in descriptions only: action.yml would pass them on like a workflow's values."""
    for name, default in DEFAULTS.items():
        assert "default" not in ACTION["inputs"][name]
        if default:
            assert ACTION["inputs"][name]["description"].endswith(f" Default: `{default}`.")


def test_the_names_of_others_are_understood() -> None:
    """A workflow that was written for another action finds its inputs and outputs here."""
    assert set(MAJOR0) | set(PASSEI_DIRETO) <= set(ACTION["inputs"])
    assert set(OUTPUTS) <= set(ACTION["outputs"])


def test_no_shell_sees_an_input() -> None:
    """No input is interpolated into the script, because the shell would run it."""
    [step] = ACTION["runs"]["steps"]
    assert "${{" not in step["run"]
    assert step["env"]["GH_RUNNER_INPUTS"] == "${{ toJSON(inputs) }}"
    assert "exec python3 -I" in step["run"]


def test_no_description_is_an_expression() -> None:
    """No description contains an expression: GitHub would evaluate it, and refuse the action."""
    for about in [*ACTION["inputs"].values(), *ACTION["outputs"].values()]:
        assert "${{" not in about["description"]


def test_the_exit_codes_are_those_of_the_image() -> None:
    """The action explains the image's exit codes in the image's words."""
    for code in MEANINGS:
        assert EXIT_CODES[int(code)] == code.meaning


def test_an_old_python_suffices() -> None:
    """The program runs on Python 3.8 and later, since the machine provides it."""
    vermin = Path(sys.executable).with_name("vermin")
    command = [str(vermin), "--target=3.8-", "--no-tips", "--violations", str(ROOT / "action")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_each_input_has_one_value(name: str) -> None:
    """An input under two spellings is an error if the values differ."""
    for first, second in itertools.combinations(spellings(name), 2):
        with pytest.raises(Problem, match="are the same input"):
            inputs(**{first: "1", second: "2"})
        assert "the same input" not in _complaints(**{first: "1", second: "1"})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a,b", ["a", "b"]),
        ("a, b,\n c\r\n", ["a", "b", "c"]),
        ('["a", "b"]', ["a", "b"]),
        (" a a , ,a a", ["a a"]),
        ("", []),
    ],
)
def test_lists(text: str, found: list[str]) -> None:
    """Items are separated by commas or line breaks, or are a JSON list."""
    assert inputs(labels=text).labels == found


@pytest.mark.parametrize("text", ["a\0b", "a\x1b[31m", "a\x7f", "a\x08"])
def test_control_characters(text: str) -> None:
    """An input may not contain control characters, which a terminal or a log would obey."""
    for name in ("labels", "group", "cluster", "workdir"):
        with pytest.raises(Problem, match=f"{name}: .*control character"):
            inputs(**{name: text})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("placement:ecs", ("placement", "ecs")),
        ("key:a:b", ("key", "a:b")),
        ("aws:cloudformation:stack-name:net", ("aws:cloudformation:stack-name", "net")),
    ],
)
def test_tags_of_networks(text: str, found: tuple[str, str]) -> None:
    """The first colon that is not part of AWS's own keys divides key and value."""
    assert inputs(**{"subnets-tag": text}).subnets_tag == found


@pytest.mark.parametrize(
    ("context", "scope"),
    [
        ("", "repos/acme/shop"),
        ("acme", "orgs/acme"),
        ("acme/other.repo", "repos/acme/other.repo"),
        ("enterprises/big", "enterprises/big"),
    ],
)
def test_contexts(context: str, scope: str) -> None:
    """A context is a repository, an organization or an enterprise."""
    assert inputs(context=context).scope == scope


@pytest.mark.parametrize("context", ["a/b/c", "../..", "a/b?x", "a b", "https://github.com/a"])
def test_contexts_that_are_none(context: str) -> None:
    """Any other text is refused before it gets into the path of a request."""
    with pytest.raises(Problem, match="context: "):
        inputs(context=context)


@pytest.mark.parametrize("url", ["http://api.github.com", "ftp://x", "https://", "x"])
def test_the_token_goes_nowhere_in_the_clear(url: str) -> None:
    """Plain http is refused, except on this machine and in private networks."""
    with pytest.raises(Problem, match="api-url: "):
        inputs(**{"api-url": url})
    assert inputs(**{"api-url": "http://127.0.0.1:1"}).api_url


def test_a_token_with_a_line_break() -> None:
    """A secret's last line break is cut; one inside is refused without showing the secret."""
    assert inputs(token="ghp_x\n").token == "ghp_x"
    with pytest.raises(Problem) as caught:
        inputs(token="ghp_x\nghp_y")
    assert "ghp_" not in caught.value.text()


def test_outputs_cannot_be_forged(tmp_path: Path) -> None:
    """A value with line breaks stays one value of one output."""
    file = tmp_path / "outputs"
    workflow = Workflow({"GITHUB_OUTPUT": str(file)}, io.StringIO())
    workflow.output({"a": "1\nid<<x\nforged\nx", "b": ["2"]})
    lines = file.read_text().splitlines()
    end = lines[0].partition("<<")[2]
    assert lines[: lines.index(end, 1) + 1][1:-1] == ["1", "id<<x", "forged", "x"]
    assert lines[-2] == '["2"]'


def test_annotations_are_one_line() -> None:
    """Line breaks, colons and commas in an annotation are escaped."""
    stream = io.StringIO()
    workflow = Workflow({}, stream)
    workflow.mask("hush")
    workflow.error("100 % hush\nand: more\r", title="a: b, c")
    lines = stream.getvalue().split("\n")
    assert lines[1] == "::error title=a%3A b%2C c::100 %25 ***%0Aand: more\N{REPLACEMENT CHARACTER}"
    assert unescaped("100 %25%0Aa") == "100 %\na"


@pytest.mark.parametrize("text", ["::error::x", "  ::add-mask::x", "a\n::x", "##[group]", "\t::x"])
def test_no_line_is_a_command(text: str) -> None:
    """Words of others, printed to the log, are never a workflow command of either form."""
    for line in harmless(text).splitlines():
        assert not line.strip().startswith("::")
        assert "##[" not in line
