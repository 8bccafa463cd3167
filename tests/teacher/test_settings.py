"""Which teacher settings make sense."""

from __future__ import annotations

from typing import Any

import pytest

from balora.teacher import TeacherSettings


@pytest.mark.parametrize("value", [0, -0.5, 1.5, "half"])
def test_shares_that_make_no_sense_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="teacher_fraction"):
        TeacherSettings(teacher_fraction=value)
