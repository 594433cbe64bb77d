"""CloudFormation's template, with its functions resolved for given parameters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tests.action.stand_in import ACCOUNT, REGION

TEMPLATE = Path(__file__).parents[2] / "deploy" / "ecs" / "template.yaml"
_NO_VALUE = object()
_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::NoValue": _NO_VALUE,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "stack",
}
# Below these members the names are a user's, and not the API's.
_FREE = ("Options",)


class _Loader(yaml.SafeLoader):
    """Reads !Ref as {"Ref": …} and every other !Name as {"Fn::Name": …}."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else "Fn::" + suffix
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if name == "Fn::GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name: value}


_Loader.add_multi_constructor("!", _function)


def load() -> dict[str, Any]:
    """Return the template with its functions in the long form."""
    template: dict[str, Any] = yaml.load(TEMPLATE.read_text(), _Loader)
    return template


class Stack:
    """The resources of a stack with these parameters."""

    def __init__(self, **parameters: str) -> None:
        """A parameter that is not given has its default."""
        self._template = load()
        defaults = {
            name: about.get("Default") for name, about in self._template["Parameters"].items()
        }
        self._parameters = {**defaults, **parameters}
        for name, about in self._template["Parameters"].items():
            assert self._parameters[name] is not None, f"{name} has no default"
            if "List" in about["Type"]:
                self._parameters[name] = str(self._parameters[name]).split(",")
        self.resources: dict[str, dict[str, Any]] = {}
        for name, resource in self._template["Resources"].items():
            if self._holds(resource.get("Condition")):
                found = self._resolved(resource)
                self.resources[name] = found

    def properties(self, name: str) -> dict[str, Any]:
        """Return the properties of one resource."""
        found: dict[str, Any] = self.resources[name]["Properties"]
        return found

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return the properties of all resources of a type, such as AWS::IAM::Role."""
        return [item["Properties"] for item in self.resources.values() if item["Type"] == kind]

    def task_definition(self, name: str) -> dict[str, Any]:
        """Return a task definition as the request that registers it."""
        found = as_request(self.properties(name))
        assert isinstance(found, dict)
        return found

    def _holds(self, condition: Any) -> bool:
        if condition is None:
            return True
        if isinstance(condition, str):
            return self._holds(self._template["Conditions"][condition])
        [(name, value)] = condition.items()
        if name == "Condition":
            return self._holds(value)
        if name == "Fn::Not":
            return not self._holds(value[0])
        if name == "Fn::And":
            return all(map(self._holds, value))
        assert name == "Fn::Equals", name
        first, second = map(self._resolved, value)
        return bool(first == second)

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, list):
            items = [self._resolved(item) for item in value]
            return [item for item in items if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._called(name, argument)
        pairs = {key: self._resolved(item) for key, item in value.items()}
        return {key: item for key, item in pairs.items() if item is not _NO_VALUE}

    def _called(self, name: str, argument: Any) -> Any:
        if name == "Fn::If":
            condition, yes, no = argument
            return self._resolved(yes if self._holds(condition) else no)
        functions = {
            "Ref": self._referred,
            "Fn::GetAtt": lambda pair: "{" + ".".join(pair) + "}",
            "Fn::Join": lambda pair: pair[0].join(self._resolved(pair[1])),
            "Fn::Sub": self._substituted,
            "Fn::Base64": self._resolved,
        }
        return functions[name](argument)

    def _referred(self, name: str) -> Any:
        if name in self._parameters:
            return self._parameters[name]
        if name in _PSEUDO:
            return _PSEUDO[name]
        assert name in self._template["Resources"], f"{name} does not exist"
        return f"{{{name}}}"

    def _substituted(self, argument: str | list[Any]) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else argument
        variables = self._resolved(given)

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name in variables:
                return str(variables[name])
            return f"{{{name}}}" if "." in name else str(self._referred(name))

        return re.sub(r"\$\{([A-Za-z0-9:.]+)\}", value, text)


def as_request(value: Any) -> Any:
    """Return properties as members of a request: camelCase, and numbers for numeric texts."""
    if isinstance(value, list):
        return [as_request(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, item in value.items():
        name = key[0].lower() + key[1:]
        if key in _FREE:
            found[name] = item
        elif key == "Value":
            found[name] = str(item)
        else:
            found[name] = as_request(item)
    return found
