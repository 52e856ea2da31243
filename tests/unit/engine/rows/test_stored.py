"""Which session computes several stored columns as each was."""

from app.engine.rows.stored import together


def test_modes_of_several_columns_are_set_together():
    """Each keeps what its own needs, and lacks what its own must not have."""
    usual = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"
    found = together([
        (("sql_mode", f"{usual},PAD_CHAR_TO_FULL_LENGTH"), ("time_zone", "+01:00")),
        (),
        (("sql_mode", f"{usual},NO_UNSIGNED_SUBTRACTION"),),
        (("sql_mode", "NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION,NO_ZERO_DATE"),),
    ])

    (mode, modes), zone = found
    assert mode == "sql_mode"
    assert set(modes.split(",")) == {
        "NO_AUTO_VALUE_ON_ZERO",
        "NO_ENGINE_SUBSTITUTION",
        "NO_UNSIGNED_SUBTRACTION",
        "NO_ZERO_DATE",
        "PAD_CHAR_TO_FULL_LENGTH",
    }
    assert zone == ("time_zone", "+01:00")
