"""Fields that turn typing into bytes, and bytes into typing without changing them."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton, QToolButton
from pytestqt.qtbot import QtBot

from gui.messages.bytes_edit import LARGEST_EDITED, BytesEdit
from gui.messages.headers_edit import MOST_EDITED, HeadersEdit
from gui.messages.lines_edit import LinesEdit
from kafka_client.errors import BadInput
from kafka_client.model import Header
from kafka_client.reading.decode import Kind
from widgets.theme import Theme


@pytest.fixture
def value(qtbot: QtBot) -> BytesEdit:
    made = BytesEdit(Theme(), "Value", True)
    qtbot.addWidget(made)
    return made


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        b"hello",
        b'{"a": 9007199254740993}',
        b"a\r\nb",
        b"\x00\xff\xfe",
        "Grüße ☃".encode(),
        b"x" * (LARGEST_EDITED + 1),
        b"y" * 10_000,
    ],
)
def test_that_a_copied_value_comes_out_as_it_went_in(value: BytesEdit, data: bytes | None) -> None:
    value.load(data)
    assert value.data() == data


def test_that_what_is_too_large_to_edit_says_so_and_can_be_replaced(value: BytesEdit) -> None:
    value.load(b"x" * (LARGEST_EDITED + 1))
    assert "unchanged" in value.hint.text() and not value.editor.isEnabled()
    value.replace.click()
    assert value.data() == b"" and value.editor.isEnabled()


def test_that_the_hint_says_what_the_bytes_are_or_what_is_wrong(value: BytesEdit) -> None:
    value.text.setPlainText("[1]")
    value.check()
    assert value.hint.text() == "Valid JSON  ·  3 bytes"
    value.text.setPlainText("[1")
    value.check()
    assert value.hint.text().endswith("sent as text")
    value.kind.setCurrentText(str(Kind.INT64))
    assert not value.check()
    with pytest.raises(BadInput):
        value.data()
    value.null.setChecked(True)
    assert value.check() and value.hint.text() == "a tombstone"


@pytest.fixture
def headers(qtbot: QtBot) -> HeadersEdit:
    made = HeadersEdit(Theme())
    qtbot.addWidget(made)
    made.show()
    return made


def test_that_headers_that_are_not_edited_keep_their_bytes(headers: HeadersEdit) -> None:
    loaded = (Header("trace", b"\xff\x00"), Header("none", None), Header("empty", b""))
    headers.load(loaded)
    assert headers.headers() == loaded


def test_that_an_added_header_counts_once_something_is_typed(headers: HeadersEdit) -> None:
    add = headers.findChild(QPushButton)
    assert add is not None
    QTest.mouseClick(add, Qt.MouseButton.LeftButton)
    assert headers.headers() == ()
    headers._rows[0].name.setText("a")
    assert headers.headers() == (Header("a", b""),)
    remove = headers.findChild(QToolButton)
    assert remove is not None
    QTest.mouseClick(remove, Qt.MouseButton.LeftButton)
    assert headers.headers() == ()


def test_that_many_headers_are_kept_unchanged_until_they_are_removed(headers: HeadersEdit) -> None:
    many = tuple(Header(str(n), b"x") for n in range(MOST_EDITED + 1))
    headers.load(many)
    button = headers.findChild(QPushButton)
    assert button is not None and button.text() == "Remove them" and headers.headers() == many
    button.click()
    assert headers.headers() == () and button.text() == "Add header"


def test_that_lines_that_name_no_partition_go_to_the_chosen_one(qtbot: QtBot) -> None:
    lines = LinesEdit(Theme())
    qtbot.addWidget(lines)
    lines.set_topic("t")
    lines.form.setCurrentIndex(2)
    lines.text.setPlainText('{"value": "a", "partition": 5}\n{"value": "b"}')
    assert [r.partition for r in lines.records(2)] == [5, 2]
    assert lines.can_be_sent and lines.count == 2
    lines.text.setPlainText("{")
    lines.records(None)
    assert not lines.can_be_sent and "line 1" in lines.hint.text()
