"""What stands before the statements of every member."""

from app.engine.sql.preludes import header


def test_a_comment_for_people_is_one_line_that_every_client_reads():
    """The client of the server ends at a NUL, and a backup is restored without this program, too."""
    (begun,) = header(
        ["Description: a\0b\n\x1b[31m\x85c\u2028d", "Server: mariadb 1\r\nDROP DATABASE x;"], []
    )

    assert (
        begun.sql
        == b"-- Description: a\\x00b \\x1b[31m c d\n-- Server: mariadb 1 DROP DATABASE x;\n"
    )
