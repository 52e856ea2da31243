"""One table of 200 columns, for the data set `wide`."""

from .dataset import Table, hashed, moment, picked, sometimes_null


COLUMNS = 200
_WORDS = ("red", "größer", "синий", "緑", "o''clock", "tab\\there", "plain", "")


def wide_table(rows: int) -> Table:
    """
    Describe the table: an id, and columns of all common types in turn.

    Args:
        rows: About 2.9 kB each as plain SQL.

    Returns:
        A table whose every second column may be NULL, in a quarter of the rows.
    """
    columns = [_column(number) for number in range(1, COLUMNS)]
    definition = ", ".join(f"{name} {kind}" for name, kind, _ in columns)
    return Table(
        name="answers",
        rows=rows,
        definition=f"id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, {definition}",
        columns=", ".join(["id", *(name for name, _, _ in columns)]),
        values=", ".join(["seq", *(value for _, _, value in columns)]),
    )


def _column(number: int) -> tuple[str, str, str]:
    """Return name, type and value of one column."""
    salt = f"w{number}"
    kinds = _kinds(salt)
    kind, value = kinds[number % len(kinds)]
    name = f"answer_{number:03}"
    if number % 2:
        return name, f"{kind} NULL", sometimes_null(value, f"n{number}")
    return name, f"{kind} NOT NULL", value


def _kinds(salt: str) -> tuple[tuple[str, str], ...]:
    number = hashed(salt)
    return (
        ("INT", f"CAST({number}%2000000 AS SIGNED)-1000000"),
        ("BIGINT UNSIGNED", f"{number}*{number}"),
        ("TINYINT(1)", f"{number}%2"),
        ("DECIMAL(14,4)", f"{number}/1000"),
        ("DOUBLE", f"{number}/7919e0"),
        ("FLOAT", f"{number}%10000/8"),
        ("DATE", f"DATE({moment(salt)})"),
        ("DATETIME(6)", f"{moment(salt)}+INTERVAL {number}%1000000 MICROSECOND"),
        ("TIMESTAMP", moment(salt)),
        ("TIME", f"SEC_TO_TIME({number}%86400)"),
        ("YEAR", f"1950+{number}%100"),
        ("VARCHAR(60)", f"CONCAT({picked(_WORDS, salt)},' ',{number}%1000)"),
        ("CHAR(8) CHARACTER SET ascii", f"LEFT(MD5(CONCAT(seq,'{salt}')),8)"),
        ("ENUM('yes','no','maybe','не знаю')", f"1+{number}%4"),
        ("SET('a','b','c','d')", f"{number}%16"),
        ("BIT(12)", f"{number}%4096"),
        ("VARBINARY(16)", f"UNHEX(MD5(CONCAT(seq,'{salt}')))"),
        ("TEXT", f"CONCAT_WS(', ',{picked(_WORDS, salt)},{picked(_WORDS, salt + 'b')})"),
        ("JSON", f"""CONCAT('{{"score":',{number}%100,',"tags":["a","é"]}}')"""),
    )
