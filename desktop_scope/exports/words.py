"""What became of an export, in words."""

from __future__ import annotations

from desktop_scope.engine.cost_types import judge
from desktop_scope.exports.types import Exported


def about(done: Exported) -> tuple[str, ...]:
    """Sentences for people: how it compares, in what it differs, what it costs."""
    said = [
        f"Read again, it differs from steering at every token by at most {done.apart:.1e} nats of "
        f"log-probability, over {done.n_tokens:,} tokens.",
        *done.notes,
    ]
    if done.notes:
        said.append(f"That changes log-probabilities by up to {done.beyond:.2g} nats.")
    damage = done.damage
    said.append(
        f"What it costs: {judge(damage).word}; KL {damage.kl:.3f} nats per token on neutral texts."
    )
    if damage.quiz is not None:
        quiz = damage.quiz
        said.append(
            f"Of {quiz.n_questions} quiz questions it answers {quiz.steered} rightly; without it "
            f"{quiz.plain}."
        )
    return tuple(said)
