"""Subnets and security groups, looked up by tag or name and given to ECS as ids."""

from __future__ import annotations

import re
from typing import Any, Sequence

from action.aws import Aws, AwsError
from action.errors import Problem
from action.inputs import Inputs

MOST_SUBNETS, MOST_GROUPS = 16, 5  # of a task, by ECS
_GROUP_ID = re.compile(r"sg-[0-9a-z]+")


async def configuration(aws: Aws, inputs: Inputs) -> dict[str, Any]:
    """The awsvpcConfiguration of a task; Problem if something does not exist or matches nothing."""
    subnets = list(inputs.subnets)
    vpcs: set[str] = set()
    if inputs.subnets_tag:
        subnets, vpcs = await _tagged_subnets(aws, inputs.subnets_tag)
    if not subnets:
        raise Problem(
            "subnets",
            "The task definition uses the network mode awsvpc, which needs subnets.",
            "Give subnets (ids) or subnets-tag (KEY:VALUE).",
        )
    _limit("subnets", subnets, MOST_SUBNETS)
    found: dict[str, Any] = {
        "subnets": subnets,
        "assignPublicIp": "ENABLED" if inputs.assign_public_ip else "DISABLED",
    }
    groups = await _groups(aws, inputs, subnets, vpcs)
    _limit("security-groups", groups, MOST_GROUPS)
    if groups:
        found["securityGroups"] = groups
    return found


async def _tagged_subnets(aws: Aws, tag: tuple[str, str]) -> tuple[list[str], set[str]]:
    request = {"Filters": [{"Name": f"tag:{tag[0]}", "Values": [tag[1]]}]}
    answer = await aws("ec2 describe-subnets", request)
    found = {str(item["SubnetId"]): str(item["VpcId"]) for item in answer.get("Subnets") or []}
    if not found:
        raise _nothing("subnets-tag", "subnet", tag)
    if len(set(found.values())) > 1:
        raise Problem(
            "subnets-tag",
            f"{tag[0]}:{tag[1]} matches subnets of several VPCs: {', '.join(sorted(found))}.",
            "A task lives in one VPC: give a tag that only its subnets have.",
        )
    return sorted(found), set(found.values())


async def _groups(aws: Aws, inputs: Inputs, subnets: Sequence[str], vpcs: set[str]) -> list[str]:
    if inputs.security_groups_tag:
        tag = inputs.security_groups_tag
        filters = [{"Name": f"tag:{tag[0]}", "Values": [tag[1]]}]
        found = await _described_groups(aws, [*filters, *_of(vpcs)])
        if not found:
            raise _nothing("security-groups-tag", "security group", tag)
        return sorted(found)
    names = [item for item in inputs.security_groups if not _GROUP_ID.fullmatch(item)]
    if not names:
        return list(inputs.security_groups)
    vpcs = vpcs or await _vpcs(aws, subnets)
    filters = [{"Name": "group-name", "Values": names}]
    found = await _described_groups(aws, [*filters, *_of(vpcs)])
    by_name = {name: key for key, name in found.items()}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise Problem(
            "security-groups",
            f"{', '.join(map(repr, missing))}: the VPC has no such group.",
            "Give ids (sg-…), or the names of groups in the VPC of the subnets.",
        )
    return [by_name.get(item, item) for item in inputs.security_groups]


async def _described_groups(aws: Aws, filters: Sequence[Any]) -> dict[str, str]:
    """Return the names of groups by their ids."""
    answer = await aws("ec2 describe-security-groups", {"Filters": list(filters)})
    groups = answer.get("SecurityGroups") or []
    return {str(item["GroupId"]): str(item["GroupName"]) for item in groups}


async def _vpcs(aws: Aws, subnets: Sequence[str]) -> set[str]:
    try:
        answer = await aws("ec2 describe-subnets", {"SubnetIds": list(subnets)})
    except AwsError as error:
        if error.passes:
            raise
        raise Problem("subnets", error.message, "Give ids of subnets of this region.") from error
    return {str(item["VpcId"]) for item in answer.get("Subnets") or []}


def _of(vpcs: set[str]) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": sorted(vpcs)}] if vpcs else []


def _nothing(name: str, what: str, tag: tuple[str, str]) -> Problem:
    return Problem(
        name,
        f"No {what} has the tag {tag[0]} with the value {tag[1]}.",
        "Look for a misspelt tag, another region or another account.",
    )


def _limit(name: str, items: Sequence[str], most: int) -> None:
    if len(items) > most:
        raise Problem(
            name,
            f"There are {len(items)}; a task can have {most}: {', '.join(items)}.",
            "Name some, or give a tag that fewer have.",
        )
