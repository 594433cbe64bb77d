"""The documentation says what the code does."""

from entrypoint.commands.settings import template
from scripts import documents


def test_readme_has_the_tables_of_the_code() -> None:
    """Settings, credentials and exit codes in the README are those of the code."""
    page = documents.README.read_text()
    assert documents.with_tables(page) == page, "run python -m scripts.documents"


def test_the_page_on_ecs_has_the_tables_of_the_action() -> None:
    """Inputs and outputs in docs/ecs.md are those of action.yml."""
    page = documents.ECS.read_text()
    assert documents.ecs_with_tables(page) == page, "run python -m scripts.documents"


def test_migrating_has_the_variables_of_the_code() -> None:
    """Each variable of another project is documented as it is translated."""
    assert documents.MIGRATING.read_text() == documents.migrating(), (
        "run python -m scripts.documents"
    )


def test_the_sample_is_what_the_program_prints() -> None:
    """`gh-runner settings --template` prints .env-example."""
    assert documents.SAMPLE.read_text() == template(), "run python -m scripts.documents"
