"""What a person does in a chat of several turns, each from one state to the next."""

from __future__ import annotations

from dataclasses import replace

from desktop_scope.engine.types import Prompt, Role, Turn
from desktop_scope.gui import actions
from desktop_scope.gui.state import AppState


def system_of(prompt: Prompt) -> str:
    """The system prompt; empty if there is none."""
    first = prompt.turns[0] if prompt.turns else None
    return first.text if first is not None and first.role is Role.SYSTEM else ""


def asked_before(prompt: Prompt) -> tuple[str, ...]:
    """What the user said in the turns before."""
    return tuple(turn.text for turn in prompt.turns if turn.role is Role.USER)


def can_reply(state: AppState) -> bool:
    """Whether there is an answer to go on from."""
    answers = [state.answer, *([state.steered] if state.interventions else [])]
    return state.prompt.chat and all(a is not None and a.finished for a in answers)


def reply(state: AppState) -> AppState:
    """Go on from the answers: the next turn is empty, each column has what was said in it."""
    if not can_reply(state) or state.answer is None:
        return state
    said = state.prompt.text.strip()
    steered = (state.steered or state.answer).text
    plain = _with_turn(state.prompt.turns, said, state.answer.text)
    other = _with_turn(state.chat.steered, said, steered)
    return _begin(state, Prompt("", True, plain), other)


def go_back_to(state: AppState, number: int) -> AppState:
    """Edit an earlier turn of the user's: what came after it is gone."""
    asked = asked_before(state.prompt)
    if not 0 <= number < len(asked):
        return state
    plain = _up_to(state.prompt.turns, number)
    other = _up_to(state.chat.steered, number)
    return _begin(state, Prompt(asked[number], True, plain), other)


def begin_anew(state: AppState) -> AppState:
    """An empty chat; the system prompt stays."""
    system = tuple(turn for turn in state.prompt.turns if turn.role is Role.SYSTEM)
    return _begin(state, Prompt("", state.prompt.chat, system), system)


def set_system(state: AppState, text: str) -> AppState:
    """Tell the model in advance how to be; with nothing, what its template says."""
    first = (Turn(Role.SYSTEM, text.strip()),) if text.strip() else ()

    def told(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
        return (*first, *(turn for turn in turns if turn.role is not Role.SYSTEM))

    prompt = replace(state.prompt, turns=told(state.prompt.turns))
    return _begin(state, prompt, told(state.chat.steered)) if prompt != state.prompt else state


def ask_again(state: AppState) -> AppState:
    """Answer once more, with other dice."""
    if state.sampling.temperature == 0:
        return state
    return actions.ask(actions.set_sampling(state, seed=(state.sampling.seed + 1) % 1_000_000))


def _begin(state: AppState, prompt: Prompt, steered: tuple[Turn, ...]) -> AppState:
    state = actions.set_prompt(state, prompt)
    return replace(state, chat=replace(state.chat, steered=steered))


def _with_turn(turns: tuple[Turn, ...], asked: str, answered: str) -> tuple[Turn, ...]:
    return (*turns, Turn(Role.USER, asked), Turn(Role.ASSISTANT, answered))


def _up_to(turns: tuple[Turn, ...], number: int) -> tuple[Turn, ...]:
    """What was said before the user's turn of this number."""
    users = [n for n, turn in enumerate(turns) if turn.role is Role.USER]
    return turns[: users[number]] if number < len(users) else turns
