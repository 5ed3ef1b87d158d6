"""Network policies: which connections reach the pods of a manifest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml
from cluster.checks.manifests import Json, Pod, pods_of
from pydantic import ValidationError


def check_network(path: Path) -> Iterator[str]:
    """Yield a message for each pod of a manifest that strangers can connect to.

    The policies are those of all manifests in the same folder.
    """
    policies = []
    for manifest in sorted(path.parent.glob("*.yaml")):
        policies += _policies(manifest)
    for policy in _policies(path):
        yield from _check_policy(policy)
    for document in yaml.safe_load_all(path.read_text()):
        try:
            pods = pods_of(document)
        except ValidationError:  # check_manifest reports it
            continue
        for pod in pods:
            yield from _check_pod(pod, policies)


def _policies(path: Path) -> list[Json]:
    documents = yaml.safe_load_all(path.read_text())
    policies = []
    for document in documents:
        if document.get("kind") == "NetworkPolicy":
            policies.append(document.get("spec", {}))
    return policies


def _check_policy(policy: Json) -> Iterator[str]:
    if "Ingress" not in policy.get("policyTypes", []):
        yield "the policy does not restrict incoming connections"
    for number, rule in enumerate(policy.get("ingress", []), 1):
        if not rule.get("from"):
            yield f"ingress rule {number} allows connections from everywhere"
        if _is_for_other_namespaces(rule) and not rule.get("ports"):
            yield f"ingress rule {number} allows all ports to pods of other namespaces"
        for peer in rule.get("from", []):
            # An empty or a missing selector selects all pods.
            if not peer.get("podSelector", {}).get("matchLabels"):
                yield f"ingress rule {number} names no labels of pods"


def _check_pod(pod: Pod, policies: list[Json]) -> Iterator[str]:
    rules: list[Json] = []
    is_selected = False
    for policy in policies:
        if _selects(policy.get("podSelector", {}), pod.labels):
            is_selected = True
            rules += policy.get("ingress", [])
    if not is_selected:
        yield f"{pod.name}: no NetworkPolicy selects its labels {pod.labels}"
    # All pods here have the same labels, and Ray's nodes reach one another on many ports.
    elif not any(_admits(rule, pod.labels) for rule in rules):
        yield f"{pod.name}: its NetworkPolicy refuses connections from pods with its labels"


def _is_for_other_namespaces(rule: Json) -> bool:
    return any("namespaceSelector" in peer for peer in rule.get("from", []))


def _admits(rule: Json, labels: dict[str, str]) -> bool:
    if rule.get("ports"):
        return False
    return any(_selects(peer.get("podSelector", {}), labels) for peer in rule.get("from", []))


def _selects(selector: Json, labels: dict[str, str]) -> bool:
    selected: dict[str, str] = selector.get("matchLabels", {})
    return selected.items() <= labels.items()
