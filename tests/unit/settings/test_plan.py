"""What PID 1 gets to know of the settings, as a child has read and checked them."""

from __future__ import annotations

import marshal
from typing import Any, get_args, get_type_hints

from entrypoint.container import account
from entrypoint.lifecycle import engine_choice, prepare_child
from entrypoint.settings.plan import Plan
from entrypoint.settings.schema import Settings
from simulator.container import USER
from tests.support.settings import parse


def test_each_field_has_a_value_and_comes_back_from_a_child() -> None:
    """A child hands the plan back as it is, and other children make `Settings` of it."""
    given = parse(
        {
            "GITHUB_URL": "https://github.com/acme/shop",
            "GITHUB_PERSONAL_TOKEN": "ghp_simulator",
            "RUNNER_LABELS": "a,b",
            "RUNNER_CREDENTIAL": "until-job",
            "RUNNER_USER": USER,
        }
    )
    user = account.require(USER)
    engine = engine_choice.choose(given, {})
    made = prepare_child.plan(given, user, {"A": "1"}, engine)
    told: dict[str, Any] = marshal.loads(marshal.dumps(made))  # as call.py brings it
    assert told.keys() == Plan.__annotations__.keys()
    plan = Plan(told)
    assert Settings(**plan.settings) == given
    assert plan.labels == ("a", "b")
    assert plan.runner_environment["A"] == "1"
    assert "job-started.answer" in plan.hook


def test_fields_that_are_settings_have_their_types() -> None:
    """A field with a setting's name has that setting's type, so that mypy's word holds."""
    types = get_type_hints(Settings)
    same = Plan.__annotations__.keys() & types.keys()
    assert {"home", "labels", "stop_timeout"} <= same
    for name in same:
        kind = types[name]
        assert Plan.__annotations__[name] == (str(kind) if get_args(kind) else kind.__name__), name
