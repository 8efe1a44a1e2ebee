"""Help on every panel, a glossary, and what the program is made of."""

from __future__ import annotations

import re

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QListWidget, QTextBrowser, QWidget
from pytestqt.qtbot import QtBot

import desktop_scope
from desktop_scope.gui.help.pages import pages
from desktop_scope.gui.help.window import HelpWindow
from desktop_scope.gui.panels import PANELS

IDS = tuple(panel.id for panel in PANELS)


def test_every_panel_has_a_page_of_a_few_sentences():
    found = {page.id: page for page in pages(IDS)}
    assert found.keys() >= {"start", *IDS, "glossary", "sources", "about"}
    for page in found.values():
        assert page.text.startswith(f"# {page.title}\n")
    for panel in PANELS:
        assert found[panel.id].title == panel.title
        assert 40 < len(found[panel.id].text.split()) < 220


def test_the_glossary_is_in_order_and_names_each_term_once():
    (text,) = (page.text for page in pages(IDS) if page.id == "glossary")
    terms = re.findall(r"^\*\*(.+?)\*\*: ", text, re.MULTILINE)
    assert len(terms) > 25
    assert terms == sorted(set(terms), key=str.lower)


def test_about_names_versions_and_licences():
    (text,) = (page.text for page in pages(IDS) if page.id == "about")
    assert desktop_scope.__version__ in text
    rows = re.findall(r"^\| (\S+) \| (\S+) \| (.+) \|$", text, re.MULTILINE)
    named = {name: (version, licence) for name, version, licence in rows}
    assert named["PySide6-Essentials"][0].startswith("6.")
    assert "LGPL" in named["PySide6-Essentials"][1]
    assert all(licence for _, licence in named.values())


@pytest.fixture
def owner(qtbot: QtBot) -> QWidget:
    window = QWidget()
    qtbot.addWidget(window)
    return window


def test_a_page_is_shown_and_another_chosen_by_keyboard(owner, qtbot):
    help_ = HelpWindow(pages(IDS), owner)
    help_.show_page("tokens")
    text, list_ = help_.findChild(QTextBrowser), help_.findChild(QListWidget)
    assert "as the model reads it" in text.toPlainText()
    qtbot.keyClick(list_, Qt.Key.Key_Down)
    assert "across the depth" in text.toPlainText()
    help_.show_page("no such page")
    assert list_.currentRow() == 0
    qtbot.keyClick(help_, Qt.Key.Key_Escape)
    assert not help_.isVisible()
