"""What is wrong with an inventory is said before a machine is touched (tests/refusals: through Ansible)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.metalworks.artifacts import rules as artifact_rules
from ansible.module_utils.metalworks.images.parts import platform_images
from ansible.module_utils.metalworks.jupyterhub.users import login_problem, user_name_problem
from ansible.module_utils.metalworks.k3s import registries as k3s_registries
from ansible.module_utils.metalworks.k3s import settings
from ansible.module_utils.metalworks.k3s.unit import environment_problems
from ansible.module_utils.metalworks.k3s.wanted import peers
from ansible.module_utils.metalworks.rules.judge import AREAS, OPTIONAL, RULES, judge, rules_of
from ansible.module_utils.metalworks.rules.platform import LOCALHOST, Platform, UnusableValue
from plugins.filter.container_images import image_problems
from tests.support.inventories import platform, specs
from tests.support.merging import merged

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
REFUSALS = ROOT / "tests" / "refusals"
HOSTS = {
    "k3s_server": {"a": {"ansible_host": "198.18.0.1"}},
    "k3s_agent": {"b": {"ansible_host": "198.18.0.2"}},
}
VARIABLES = {"metalworks_name": "mine", "jupyterhub_users": [{"name": "ada", "password": "correct-horse-9"}]}


def read(path: Path) -> Any:
    return yaml.load(path.read_text(), yaml.CSafeLoader)


# The cases of all tables, each by its file and its sentence.
CASES = {f"{path.stem}-{case['id']}": case for path in sorted(HERE.glob("*.yaml")) for case in read(path)}


class Unresolvable(dict[str, Any]):
    """Variables, some of which have templates that cannot be resolved: {variable: the reason}."""

    def __init__(self, values: Mapping[str, Any], reasons: dict[str, str]) -> None:
        super().__init__(values)
        self.reasons = reasons

    def __getitem__(self, name: str) -> Any:
        if name in self.reasons:
            reason = self.reasons[name]
            raise UnusableValue(f"{name} cannot be resolved: {reason}", undefined=reason.split("'")[1])
        return super().__getitem__(name)


def described(case: dict[str, Any]) -> Platform:
    """The right inventory of this file with the case's changes in it."""
    hosts, variables = merged(HOSTS, case.get("hosts", {})), merged(VARIABLES, case.get("vars", {}))
    facts = {name: case[name] for name in ("members", "routes", "missing_programs") if name in case}
    found = platform(hosts, variables, **facts)
    return replace(found, values=Unresolvable(found.values, case.get("unresolvable", {})))


@cache
def said_of(name: str) -> list[str]:
    """What is said of the inventory of a case."""
    return judge(described(CASES[name])).problems


def tag_of(sentence: str) -> str:
    """The name of the rule at the end of a sentence."""
    return sentence.rpartition("[")[2].rstrip("]")


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    found, expected = said_of(name), CASES[name].get("says", [])
    assert len(found) == len(expected), found
    for sentence, part in zip(found, expected, strict=True):
        assert part in sentence


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case["id"])
        for case in read(REFUSALS / "cases.yml")["inventory"]
        if not case.get("through_ansible")
    ],
)
def test_what_is_refused_through_ansible_is_one_sentence(case: dict[str, Any]) -> None:
    base = read(REFUSALS / "base.yml")
    given = platform(merged(base["hosts"], case.get("hosts", {})), merged(base["vars"], case.get("vars", {})))
    said = judge(given).problems
    for part in case["says"]:
        assert part in "\n".join(said)
    assert len(said) == case.get("sentences", 1), said


@pytest.mark.parametrize(
    ("machines", "page"), [("multipass", "multipass.md"), ("existing", "existing-cluster.md")]
)
def test_what_a_page_says_about_images_that_are_not_built_is_enough(machines: str, page: str) -> None:
    """Without Docker on multipass, and without a registry on an existing cluster."""
    text = (ROOT / "docs" / "how-to" / page).read_text()
    (parts,) = set(re.findall(r"metalworks_parts: (\[.*?\])", text))
    block = re.search(
        r"( *)metalworks_notebooks:\n(\1 .*\n)+", (ROOT / "docs/how-to/multipass.md").read_text()
    )
    assert block
    hosts = HOSTS if machines == "multipass" else {}
    written = {"metalworks_machines": machines, "metalworks_parts": yaml.safe_load(parts)}
    # What comes from templates in the roles' defaults, which only Ansible resolves.
    resolved = {
        "object_store_consumers": {},
        "object_store_endpoint": "http://object-store.object-store.svc.cluster.local:7070",
        "monitoring_url": "http://localhost:30080",
    }
    variables = {**VARIABLES, **resolved, **written, **yaml.safe_load(block[0])}
    assert judge(platform(hosts, variables, missing_programs=["docker"])).problems == []
    built = {**variables, "metalworks_parts": [*written["metalworks_parts"], "door"]}
    assert judge(platform(hosts, built, missing_programs=["docker"])).problems


# The rules as a whole.


def test_a_sentence_ends_with_the_name_of_its_rule() -> None:
    (sentence,) = judge(platform(HOSTS, {**VARIABLES, "metalworks_name": "My Lab"})).problems
    assert sentence.endswith(" [platform_name]")


def test_a_rule_is_left_out_by_its_name() -> None:
    hosts = {"k3s_server": {"a": {}, "b": {}}}
    judgement = judge(platform(hosts, {**VARIABLES, "preflight_skip": ["number_of_servers"]}))
    assert (judgement.problems, judgement.skipped) == ([], ["number_of_servers"])


def test_a_rule_that_a_role_repeats_is_not_left_out() -> None:
    """The run would only fail later, behind the first changes."""
    mode = {"k3s_server_config": {"write-kubeconfig-mode": 644}, "preflight_skip": ["k3s_configuration"]}
    judgement = judge(platform(HOSTS, {**VARIABLES, **mode}))
    first, second = judgement.problems
    assert first.startswith("preflight_skip: k3s_configuration cannot be left out")
    assert "k3s_server_unchecked_config" in first
    assert second.endswith("[k3s_configuration]")
    assert judgement.skipped == []


def refused_by_roles(given: Platform) -> list[str]:
    """What the modules of the roles refuse of this inventory, judged by the functions that they call."""
    found = []
    for node in given.nodes:
        others = peers(given.cluster, node.host) if node.role == "server" else []
        found += settings.problems(node.role, node.config, "v1.999.0+k3s1", others, unchecked=node.unchecked)
    for host in given.hosts.values():
        registries = k3s_registries.with_own(
            host.get("k3s_registries", {}), given.values["metalworks_registry"]
        )
        found += k3s_registries.problems(registries)
        found += environment_problems(host.get("k3s_environment", {}))
    users = given.values.get("jupyterhub_users") or []
    found += [str(problem) for user in users if (problem := login_problem(user))]
    found += [str(problem) for user in users if (problem := user_name_problem(user["name"]))]
    found += artifact_rules.problems(given.entries, given.values["metalworks_artifacts"])
    images = platform_images(given.values["metalworks_notebooks"], given.values["metalworks_parts"])
    return [*found, *image_problems(images)]


# One test, because to judge all cases takes seconds in each process that does it.
def test_what_only_optional_rules_refuse_is_accepted_by_the_roles() -> None:
    refusing = {name: {*map(tag_of, said_of(name))} for name, case in CASES.items() if case.get("says")}
    judged = {name: rules for name, rules in refusing.items() if rules <= set(OPTIONAL)}
    refused = {name: said for name in judged if (said := refused_by_roles(described(CASES[name])))}
    assert refused == {}
    assert set().union(*judged.values()) == {name for name in OPTIONAL if name in RULES}


def test_a_rule_for_machines_is_left_to_the_look_at_them() -> None:
    judgement = judge(platform(HOSTS, {**VARIABLES, "preflight_skip": ["default_route"]}))
    assert (judgement.problems, judgement.skipped) == ([], [])


def test_an_unknown_rule_is_not_left_out_silently() -> None:
    (sentence,) = judge(platform(HOSTS, {**VARIABLES, "preflight_skip": ["number_of_server"]})).problems
    assert sentence == "preflight_skip: no rule is called 'number_of_server'; did you mean number_of_servers?"


def test_each_rule_has_a_name_of_its_own_and_says_what_it_refuses() -> None:
    every = [rule for area in AREAS for rule in rules_of(area)]
    assert len(RULES) == len(every)
    own = {each for area in AREAS for each in vars(area).values() if inspect.getmodule(each) is area}
    assert set(every) == {each for each in own if (each.__doc__ or "").startswith("Refuse ")}


def test_each_rule_has_a_case() -> None:
    """A rule that no table of this folder sees at work is not tested."""
    named = {tag_of(sentence) for name in CASES for sentence in said_of(name)}
    assert set(RULES) - named == set()


@pytest.mark.parametrize("name", [name for role in specs().values() for name in role])
def test_an_input_that_is_left_empty_is_one_sentence(name: str) -> None:
    """Every input of every role, in turn, has no value, unless that is its default."""
    (option,) = {id(role[name]): role[name] for role in specs().values() if name in role}.values()
    problems = judge(platform(HOSTS, {**VARIABLES, name: None})).problems
    if option.get("default", ...) is None:
        assert problems == []
    else:
        # Some may not be written at all, of which another rule speaks.
        (sentence,) = [each for each in problems if not each.endswith("[one_connection]")]
        remedy = "" if option.get("required") else ", or take the line out"
        assert sentence == f"{name} has no value: write one{remedy} [types_of_inputs]"


def test_a_value_of_a_wrong_type_is_one_sentence_and_ends_no_rule_with_an_error() -> None:
    """Every input of every role, in turn, gets a value that is not of its type."""
    right = platform(HOSTS, VARIABLES)
    known = {name: option for role in right.specs.values() for name, option in role.items()}
    for name, option in known.items():
        kind = option.get("type", "str")
        if kind != "raw":
            wrong: Any = "text" if kind in ("list", "dict", "int", "float", "bool") else {"a": 1}
            problems = judge(platform(HOSTS, {**VARIABLES, name: wrong})).problems
            about = [sentence for sentence in problems if sentence.endswith("[types_of_inputs]")]
            assert len(about) == 1, (name, problems)
            assert about[0].startswith((f"{name} is no ", f"{name} is neither ")), about


def test_an_application_that_is_left_out_is_not_judged() -> None:
    variables = {"metalworks_name": "mine", "metalworks_parts": [], "jupyterhub_node_port": 80}
    assert judge(platform(HOSTS, variables)).problems == []


@pytest.mark.parametrize(
    ("here", "there", "says"),
    [
        ({}, {"jupyterhub_namespace": "hub"}, "is written for hosts a, b and not for localhost"),
        ({"jupyterhub_namespace": "x"}, {"jupyterhub_namespace": "hub"}, "is another one for hosts a, b"),
        ({}, {"k3s_registries": {}}, None),
    ],
    ids=["out_of_sight", "another_one", "for_machines_only"],
)
def test_a_value_of_another_group(here: dict[str, Any], there: dict[str, Any], says: str | None) -> None:
    right = platform(HOSTS, {**VARIABLES, **here})
    hosts = {host: {**its, **there} for host, its in right.hosts.items()}
    given = {LOCALHOST: right.given[LOCALHOST], **hosts}
    problems = judge(Platform(**{**vars(right), "given": given, "hosts": hosts})).problems
    assert len(problems) == (1 if says else 0), problems
    assert not says or says in problems[0]
