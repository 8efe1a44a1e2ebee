"""How many of the first features that a search returns are about what was searched for.

Run as a program it prints the figures of the demo pack: ``python tests/evidence/precision.py``.
"""

from __future__ import annotations

from collections.abc import Iterable

from acceptable import acceptable
from concepts import CONCEPTS, Concept

from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.evidence.requests import Match, RankFeatures, Scope


def precision(
    catalogue: Catalogue, match: Match, k: int, concepts: Iterable[Concept] = CONCEPTS
) -> dict[str, float]:
    """Precision at k of every concept; what is missing from a short list counts as wrong."""
    return {
        concept.query: sum(_answers(catalogue, match, k, concept.query)) / k for concept in concepts
    }


def _answers(catalogue: Catalogue, match: Match, k: int, query: str) -> list[bool]:
    request = RankFeatures(Scope.ALL, words=query, match=match, limit=k)
    return [
        acceptable(query, row.name, catalogue.evidence[row.feature.sae].examples(row.feature.index))
        for row in catalogue.rank(request).rows
    ]


def main() -> None:
    """Measure, the meanings of all labels learnt first."""
    from desktop_scope import paths
    from desktop_scope.engine.requests import LoadModel, Workspace
    from desktop_scope.engine.worker import silent_job
    from desktop_scope.evidence.requests import LearnMeanings, OpenCatalogue
    from desktop_scope.workbench import Workbench

    bench, workspace = Workbench(), Workspace((paths.demo_pack(),))
    bench.handle(LoadModel(workspace, device="cpu"), silent_job())
    bench.handle(OpenCatalogue(workspace), silent_job())
    at = bench.handle(LearnMeanings(), silent_job())
    while not at.finished:
        at = bench.handle(LearnMeanings(done=at.done), silent_job())
    for match in Match:
        for k in (5, 10):
            found = precision(bench.catalogue, match, k)
            print(f"{match}: precision at {k} {sum(found.values()) / len(found):.3f}")
        print({query: value for query, value in found.items() if value < 0.8})


if __name__ == "__main__":
    main()
