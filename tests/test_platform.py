"""What the libraries underneath must not do to us."""

import sys

import pytest
from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot


def test_the_binding_does_not_lose_none() -> None:
    """PySide6 6.12.0 does, on Python 3.11, and aborts after some thousand calls."""
    thing, before = QObject(), sys.getrefcount(None)
    for _ in range(1000):
        thing.setObjectName("a")
    assert sys.getrefcount(None) > before - 100


@pytest.mark.xvfb
def test_a_window_opens_on_a_real_x_server(qtbot: QtBot) -> None:
    assert QGuiApplication.platformName() == "xcb"
    window = QWidget()
    qtbot.addWidget(window)
    with qtbot.waitExposed(window):
        window.show()
