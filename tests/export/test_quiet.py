from __future__ import annotations

import logging
import sys
import warnings

import pytest

from edgeseg_export.quiet import quiet


def test_chatter_is_silenced_and_everything_is_put_back(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("a.chatty.tool")
    logger.setLevel(logging.INFO)
    stdout = sys.stdout
    with quiet("a.chatty.tool"):
        print("a bar")
        logger.warning("a remark")
        warnings.warn("a deprecation", DeprecationWarning, stacklevel=1)  # an error under this suite's settings
        logger.error("a real problem")
    assert capsys.readouterr().out == ""
    assert [record.message for record in caplog.records] == ["a real problem"]
    assert logger.level == logging.INFO
    assert sys.stdout is stdout
    logger.info("heard again")
    assert caplog.records[-1].message == "heard again"
    with pytest.raises(DeprecationWarning):
        warnings.warn("heard again", DeprecationWarning, stacklevel=1)


def test_errors_pass_through_and_levels_are_put_back() -> None:
    logger = logging.getLogger("another.tool")
    logger.setLevel(logging.DEBUG)
    with pytest.raises(ValueError, match="broken"), quiet("another.tool"):
        raise ValueError("broken")
    assert logger.level == logging.DEBUG
