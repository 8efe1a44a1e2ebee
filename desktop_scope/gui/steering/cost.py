"""What the rack costs, in one plain word, with the figures beside it."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from desktop_scope.engine.cost_types import Damage, Word, judge, repetition
from desktop_scope.engine.types import Generation, Intervention
from desktop_scope.gui import theme
from desktop_scope.gui.state import AppState
from desktop_scope.gui.widgets.elided_label import ElidedLabel
from desktop_scope.gui.widgets.painting import muted
from desktop_scope.wording import counted

_FORGOTTEN_SHOWN = 3
_SIGNS = {Word.SAFE: "●", Word.STRAINED: "◐", Word.BROKEN: "○"}


class CostLine(QWidget):
    """A word and figures; of what was measured at other strengths it is said that it is old."""

    def __init__(self) -> None:
        super().__init__()
        self._word = QLabel()
        self._word.setAccessibleName("What the rack costs")
        self._figures = muted(ElidedLabel())
        self._figures.setFont(theme.figures(theme.ui_font()))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self._word)
        row.addWidget(self._figures, 1)
        theme.changed.connect(self._dress)

    @Slot()
    def _dress(self) -> None:
        self._figures.setFont(theme.figures(theme.ui_font()))

    def show_cost(self, state: AppState, turning: bool) -> None:
        """Say what the rack costs.

        Args:
            turning: A dial is being turned: what was measured holds no more, but is all there is.
        """
        damage = state.damage
        if not state.interventions:
            self._say("", "", "")
        elif damage is None or _what(damage.interventions) != _what(state.interventions):
            self._say("…", "measuring the cost", "")
        elif turning or damage.interventions != state.interventions:
            self._say("…", f"{_figures(damage, 0.0, ())}  (a moment ago)", "")
        else:
            repeats, plain = _repeats(state.steered), _repeats(state.answer)
            judgement = judge(damage, repeats, plain)
            sign = f"{_SIGNS[judgement.word]} {judgement.word}"
            why = "\n".join(judgement.reasons)
            figures = _figures(damage, repeats, judgement.forgets)
            self._say(sign, figures, f"{why}\n\n{_explained(damage)}")

    def _say(self, word: str, figures: str, help_: str) -> None:
        self._word.setText(word)
        self._word.setToolTip(help_)
        self._figures.set_whole(figures, help_ and f"\n{help_}")


def _what(interventions: tuple[Intervention, ...]) -> tuple[Intervention, ...]:
    """Interventions, however strong."""
    return tuple(replace(item, amount=0.0) for item in interventions)


def _repeats(answer: Generation | None) -> float:
    return repetition(answer.ids) if answer is not None else 0.0


def _figures(damage: Damage, repeats: float, forgets: tuple[str, ...]) -> str:
    parts = [f"KL {damage.kl:.2f}"]
    if forgets:
        parts.insert(0, f"worse at {', '.join(forgets[:_FORGOTTEN_SHOWN])}")
    elif damage.near:
        worst = max(damage.near, key=lambda cost: cost.nll_delta)
        others = _signed(-damage.nll_delta)
        parts.append(f"near texts {_signed(-worst.nll_delta)}, others {others}")
    if damage.quiz is not None:
        quiz = damage.quiz
        parts.append(f"quiz {quiz.plain} → {quiz.steered} of {quiz.n_questions}")
    if repeats:
        parts.append(f"repeats {repeats:.0%}")
    return "  ·  ".join(parts) + ("" if damage.finished else "  …")


def _explained(damage: Damage) -> str:
    lines = [
        f"KL {damage.kl:.3f}: how far the next-token probabilities move on texts that have nothing",
        f"to do with it, nats per token ({counted(damage.n_tokens, 'token')}); these texts became "
        f"{_signed(-damage.nll_delta)} likelier.",
    ]
    for cost in damage.near:
        lines.append(
            f"{cost.title}: KL {cost.kl:.3f}, {_signed(-cost.nll_delta)} nats "
            f"likelier per token ({counted(cost.n_tokens, 'token')})"
        )
        lines += [f"    {name} {_signed(-lost)}" for name, lost in cost.by_name]
    if damage.quiz is not None:
        quiz = damage.quiz
        lines.append(
            f"Quiz of {counted(quiz.n_questions, 'short question')}: {quiz.plain} right as it is, "
            f"{quiz.steered} with this."
        )
    if damage.fluency is not None:
        fluency = damage.fluency
        lines.append(
            f"Short answers: the model as it is finds them {fluency.surprise:.2f} nats per token\n"
            f"unlikely, its own {fluency.plain_surprise:.2f}. For example: “{fluency.texts[0]}”"
        )
    return "\n".join(lines)


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
