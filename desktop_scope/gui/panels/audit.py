"""Measure a bias, find its features, switch some off, and ask the opposite question."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.feature_names import parse_feature
from desktop_scope.engine.types import FeatureId
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.audit import Study
from desktop_scope.experiments.audit_export import save_table
from desktop_scope.experiments.audit_table import Aim, AuditRow
from desktop_scope.experiments.mending import question_row
from desktop_scope.experiments.shift import Shift
from desktop_scope.gui import actions, audit_actions
from desktop_scope.gui.auditing.bias_page import BiasPage
from desktop_scope.gui.auditing.choose_page import ChoosePage
from desktop_scope.gui.auditing.concept_page import ConceptPage
from desktop_scope.gui.auditing.features_page import FeaturesPage
from desktop_scope.gui.auditing.mend_page import MendPage
from desktop_scope.gui.auditing.probe_page import ProbePage
from desktop_scope.gui.auditing.result_page import ResultPage
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState, Message
from desktop_scope.gui.states.audit import Step, Tool
from desktop_scope.gui.store import Store
from desktop_scope.gui.why_words import ends
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.painting import muted

_STEPS = (
    (Step.CHOOSE, "1  Choose", "What to ask"),
    (Step.BIAS, "2  Bias", "How differently the rows are answered"),
    (Step.FEATURES, "3  Features", "What that hangs on; tick what is to be switched off"),
    (Step.RESULT, "4  Result", "Before and after, the control, chance and cost"),
)


_TOOLS = (
    (
        Tool.BIAS,
        "Audit a bias",
        "Prompts with two answers each: how unlike are the answers?",
    ),
    (Tool.PROBE, "Clean a probe", "SHIFT: find what a probe learnt that it should not have"),
    (Tool.MEND, "Mend an answer", "Turn down what made the model say something wrong, and try it"),
    (Tool.CONCEPT, "Look for a concept", "From texts with it and without to features, tried"),
)


class AuditPanel(Panel):
    """A wizard of four pages."""

    id = "audit"
    title = "Audit"
    column = "left"
    height = 54
    behind = "layers"
    draws_on = frozenset({"audit", "model", "opened", "saes", "jobs", "why"})

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._steps: dict[Step, QToolButton] = {}
        self._tools = QComboBox()
        self._tools.setAccessibleName("What to do")
        for n, (tool, words, help_) in enumerate(_TOOLS):
            self._tools.addItem(words, tool)
            self._tools.setItemData(n, help_, Qt.ItemDataRole.ToolTipRole)
        self._tools.activated.connect(self._tool_chosen)
        group = QButtonGroup(self)
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self._tools)
        top.addSpacing(8)
        for step, words, help_ in _STEPS:
            button = tool_button(words, help_, checkable=True)
            button.clicked.connect(lambda _=False, step=step: self._go_to(step))
            group.addButton(button)
            self._steps[step] = button
            top.addWidget(button)
        top.addStretch(1)
        self._doing = muted(QLabel())
        self._stop = tool_button("Stop", "What was measured so far stays")
        self._stop.clicked.connect(self._stop_or_go_on)
        top.addWidget(self._doing)
        top.addWidget(self._stop)
        self._choose, self._bias = ChoosePage(), BiasPage()
        self._features, self._result = FeaturesPage(), ResultPage()
        self._choose.chosen.connect(self._chosen)
        self._bias.features_wanted.connect(self._find)
        self._features.looked_at.connect(self._look_at)
        self._features.ticked.connect(self._tick)
        self._features.placed.connect(lambda where: store.act(audit_actions.change, where=where))
        self._features.turned.connect(lambda to: store.act(audit_actions.change, factor=to))
        self._features.go.connect(self._switch_off)
        for page in (self._bias, self._result):
            page.table_wanted.connect(self._save_table)
        self._probe, self._concept, self._mend = ProbePage(), ConceptPage(), MendPage()
        self._connect_probe()
        body = QWidget()
        self._stack = QStackedLayout(body)
        self._pages: dict[Step, QWidget] = {
            Step.CHOOSE: self._choose,
            Step.BIAS: self._bias,
            Step.FEATURES: self._features,
            Step.RESULT: self._result,
        }
        self._others: dict[Tool, QWidget] = {
            Tool.PROBE: self._probe,
            Tool.CONCEPT: self._concept,
            Tool.MEND: self._mend,
        }
        for page in (*self._pages.values(), *self._others.values()):
            self._stack.addWidget(page)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(body, 1)

    def _connect_probe(self) -> None:
        act = self.store.act
        self._probe.texts_wanted.connect(lambda path: act(audit_actions.begin_shift, path))
        self._probe.looked_at.connect(self._look_at)
        self._probe.ticked.connect(lambda one, on: act(audit_actions.tick_shift, one, on))
        self._probe.go.connect(lambda: act(audit_actions.retrain))
        self._mend.wanted.connect(lambda mend: act(audit_actions.open_table, mend))
        self._mend.why_wanted.connect(lambda: self.panel_wanted.emit("why"))
        self._concept.wanted.connect(lambda a, b: act(audit_actions.look_for, a, b))
        self._concept.looked_at.connect(lambda one: act(audit_actions.look_at, one))

    def focus_first(self) -> None:
        """What the page is about."""
        page = self._stack.currentWidget()
        if isinstance(page, ChoosePage | FeaturesPage | ProbePage | ConceptPage | MendPage):
            page.focus_first()
        else:
            self._steps[self.store.state.audit.step].setFocus()

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        audit, study = state.audit, state.audit.study
        self._tools.setCurrentIndex(self._tools.findData(audit.tool))
        for step, button in self._steps.items():
            button.setVisible(audit.tool is Tool.BIAS)
            button.setEnabled(audit.reached(step))
            button.setChecked(step is audit.step)
        page = self._others.get(audit.tool) or self._pages[audit.step]
        self._stack.setCurrentWidget(page)
        self._draw_doing(state)
        if page is self._mend:
            self._mend.show_question(_explained(state))
        elif not fields & {"audit", "saes"}:
            return
        elif page is self._choose:
            self._choose.set_template(audit.template)
        elif page is self._probe:
            self._probe.show_shift(audit.shift)
        elif page is self._concept:
            self._concept.show_concept(audit.concept)
        elif page is self._features:
            self._features.show_audit(audit, _known(state))
        elif study is not None and isinstance(page, BiasPage | ResultPage):
            page.show_study(study)

    def _draw_doing(self, state: AppState) -> None:
        audit, words = state.audit, ""
        study: Study | Shift | None = audit.study
        running = audit.running
        if audit.tool is Tool.PROBE:
            study, running = audit.shift.study, audit.shift.running
        elif audit.tool is Tool.CONCEPT:
            study, running = None, audit.concept.asked
        elif audit.tool is Tool.MEND:
            study, running = None, False
        unfinished = study is not None and study.next_request() is not None
        if unfinished and study is not None:
            done, total = study.progress()
            waits = "" if state.opened else "waiting for the model, "
            words = f"{waits}{done} of {total}" + ("" if running else ", stopped")
        self._doing.setText(words)
        self._stop.setVisible(unfinished or running)
        self._stop.setText("Stop" if running else "Go on")

    # ---- what a person does

    def _go_to(self, step: Step) -> None:
        self.store.act(audit_actions.go_to, step)
        self.render(self.store.state, frozenset({"audit"}))  # the button checks itself

    @Slot(object, object)
    def _chosen(self, source: object, aim: Aim) -> None:
        self.store.act(audit_actions.open_table, source, aim)

    @Slot()
    def _find(self) -> None:
        self.store.act(audit_actions.find_features)

    @Slot(object)
    def _look_at(self, feature: FeatureId) -> None:
        self.store.act(actions.select, feature=feature)

    @Slot(object, bool)
    def _tick(self, features: tuple[FeatureId, ...], on: bool) -> None:
        self.store.act(audit_actions.tick, *features, on=on)

    @Slot()
    def _switch_off(self) -> None:
        self.store.act(audit_actions.switch_off)

    @Slot()
    def _stop_or_go_on(self) -> None:
        going = self._stop.text() == "Go on"
        self.store.act(audit_actions.go_on if going else audit_actions.stop)

    @Slot(int)
    def _tool_chosen(self, place: int) -> None:
        self.store.act(audit_actions.change, tool=_TOOLS[place][0])

    @Slot()
    def _save_table(self) -> None:
        study = self.store.state.audit.study
        if study is None:
            return
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the audit as a table", f"{study.table.name}.csv", "Tables (*.csv)"
        )
        if not path:
            return
        try:
            save_table(study, Path(path))
        except ScopeError as error:
            self.store.act(actions.say, Message(error.message, error.hint))


def _explained(state: AppState) -> AuditRow | None:
    """The question that was explained last: what stands instead of the answer would be right."""
    found = state.why.explanation
    if found is None:
        return None
    said, right = ends(state, found.attribution)
    asked, before = found.question, found.question.before
    if not isinstance(before, str):
        trace = state.trace
        if trace is None or trace.prompt != asked.prompt:
            return None
        before = "".join(trace.texts[trace.n_prompt : trace.n_prompt + len(before)])
    return question_row(asked.prompt.text, asked.prompt.chat, before, said, right)


def _known(state: AppState) -> dict[str, FeatureId]:
    """The features that a case is known for, of those that are there."""
    found = {}
    study = state.audit.study
    for name in study.table.known if study else ():
        try:
            found[name] = parse_feature(state.saes, name)
        except ScopeError:
            continue
    return found
