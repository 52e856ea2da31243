"""
Tables of awkward values, one function for each kind; docs/hazards.md says what goes wrong with them.

Every function returns statements for the current database of one session; the first ones set that session up.
Text that SQL cannot carry in every client is written as `_charset X'hex'`.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from tests.corpora.session import PRELUDE, Statements, text


_MARKS = 'it\'s "q" `b` \\ % _ ; -- # /* */ \t'
_CONTROLS = "\0\x1a\r\n\r"
_ROW_END = "'),\n('x','"
_INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}


def extreme_values() -> Statements:
    """Every type at its minimum, maximum, NULL, empty and zero; integers signed, unsigned and zerofill (hazards 25 and 40)."""
    return [*PRELUDE, *_extreme_integers(), *_extreme_numbers(), *_extreme_strings()]


def _extreme_integers() -> Statements:
    columns, low, high, zero = ["id int primary key"], ["1"], ["2"], ["3"]
    for kind, bits in _INTEGERS.items():
        columns += [f"s_{kind} {kind}", f"u_{kind} {kind} unsigned", f"z_{kind} {kind}(9) zerofill"]
        low += [str(-(2 ** (bits - 1))), "0", "0"]
        high += [str(2 ** (bits - 1) - 1), str(2**bits - 1), str(2**bits - 1)]
        zero += ["0", "0", "7"]
    nothing = ["4", *["NULL"] * (len(low) - 1)]
    rows = ",".join(f"({','.join(row)})" for row in (low, high, zero, nothing))
    return [
        f"CREATE TABLE extreme_integers ({','.join(columns)})",
        f"INSERT INTO extreme_integers VALUES {rows}",
    ]


def _extreme_numbers() -> Statements:
    return [
        (
            "CREATE TABLE extreme_numbers (id int primary key, f float, fm float(7,3), d double, dm double(20,6), du double unsigned, "
            "c decimal(10,0), cz decimal(12,4) unsigned zerofill, b bool, y year, bt bit)"
        ),
        (
            "INSERT INTO extreme_numbers VALUES "
            "(1,-3.402823466e38,-9999.999,-1.7976931348623157e308,-99999999999999.999999,0,-9999999999,0,0,1901,b'0'),"
            "(2,3.402823466e38,9999.999,1.7976931348623157e308,99999999999999.999999,1e308,9999999999,99999999.9999,127,2155,b'1'),"
            "(3,0,0,0,0,0,0,0,0,0,0),"
            "(4,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),"
            "(5,1.175494351e-38,0.001,5e-324,0.000001,2.2250738585072014e-308,1,0.0001,1,2000,1),"
            "(6,1e-45,-0.001,0.1,0.1,0.30000000000000004,-1,1.5,-128,1999,0)"
        ),
    ]


def _extreme_strings() -> Statements:
    sizes = {"tiny": 255, "": 65535, "medium": 70000, "long": 70000}
    return [
        (
            "CREATE TABLE extreme_strings (id int primary key, c0 char(0), c char(255), v0 varchar(0), v varchar(255) not null default '', "
            "b0 binary(0), b binary(255), vb varbinary(255), tt tinytext, t text, mt mediumtext, lt longtext, "
            "tb tinyblob, bl blob, mb mediumblob, lb longblob) charset utf8mb4 row_format=dynamic"
        ),
        "INSERT INTO extreme_strings (id) VALUES (1)",
        "INSERT INTO extreme_strings VALUES (2,'','','','','','','','','','','','','','','')",
        "INSERT INTO extreme_strings VALUES (3,'',REPEAT('é',255),'',REPEAT('😀',255),'',REPEAT(X'00',255),REPEAT(X'FF',255),"
        + ",".join(f"REPEAT('x',{size})" for size in sizes.values())
        + ","
        + ",".join(f"REPEAT(X'00',{size})" for size in sizes.values())
        + ")",
        # Trailing blanks: CHAR drops them, VARCHAR and BINARY keep them.
        "INSERT INTO extreme_strings (id,c,v,b,vb,t) VALUES (4,'a  ','a  ','a  ','a  ','a  '),(5,' ',' ',' ',' ',' ')",
        (
            "INSERT INTO extreme_strings (id,v,t,bl) VALUES "
            f"(6,{text(_MARKS)},{text(_CONTROLS)},'NULL'),(7,'NULL',{text(_ROW_END)},'\\\\N'),(8,'DELIMITER ;;','\\r','\\\\')"
        ),
    ]


def lossy_floats() -> Statements:
    """FLOAT and DOUBLE whose bits are lost in six or fifteen digits, and the one way to store a FLOAT of minus zero (hazard 26)."""
    floats = [
        "16777216",
        "16777217",
        "0.1",
        "1e38",
        "1.17e-38",
        "3.4028234e38",
        "1.4e-45",
        "0.3333333333",
        "123456.789",
        "1e10",
        "-16777215",
    ]
    doubles = [
        "0.1",
        "0.30000000000000004",
        "1.7976931348623157e308",
        "2.2250738585072014e-308",
        "5e-324",
        "9007199254740993",
        "1e22",
        "1e23",
        "123456789012345680",
        "1e15",
        "1e-15",
    ]
    rows = [
        f"({n},{f},{d},{f},{d})" for n, (f, d) in enumerate(zip(floats, doubles, strict=True), 1)
    ]
    return [
        *PRELUDE,
        "CREATE TABLE lossy_floats (id int primary key, f float, d double, fm float(53,8), dm double(53,10))",
        f"INSERT INTO lossy_floats VALUES {','.join(rows)}",
        # A DOUBLE of minus zero is stored in no way, so its zeros need no second look.
        "CREATE TABLE zero_doubles (id int primary key, d double)",
        "INSERT INTO zero_doubles VALUES (1,0),(2,-1e-400),(3,'-0'),(4,-0e0)",
        # '-0', -0e0 and -0.0 all become plus zero on their way in; an underflow keeps its sign (MariaDB 10.11).
        "INSERT INTO lossy_floats VALUES (100,-1e-46,-1e-324,-1e-46,0),(101,'-0','-0','-0','-0'),(102,NULL,NULL,NULL,NULL)",
        "INSERT INTO zero_doubles SELECT id, CAST(f AS DOUBLE) FROM lossy_floats WHERE id = 100",
    ]


def binary_values() -> Statements:
    """All 256 byte values alone, together, and NUL at both ends, in every binary type (hazard 27)."""
    every = bytes(range(256))
    rows = [f"({n},X'{n:02X}',X'{n:02X}',X'{n:02X}')" for n in range(256)]
    return [
        *PRELUDE,
        "CREATE TABLE binary_bytes (id int primary key, b binary(1), v varbinary(300), l longblob)",
        f"INSERT INTO binary_bytes VALUES {','.join(rows)}",
        f"INSERT INTO binary_bytes VALUES (300,'',X'{every.hex()}',X'{every.hex()}'),(301,NULL,'',''),(302,X'00',X'0000',X'00FF00')",
        "CREATE TABLE binary_padded (b binary(4) primary key, v varbinary(4) unique)",
        "INSERT INTO binary_padded VALUES (X'00000000',''),(X'61000000',X'61'),(X'61200000',X'6120'),(X'62','b')",
    ]


_SINGLE_BYTE = [
    "ascii",
    "latin1",
    "koi8r",
    "koi8u",
    "cp1251",
    "cp1250",
    "swe7",
    "hebrew",
    "greek",
    "tis620",
    "dec8",
    "cp850",
    "cp866",
    "latin2",
    "latin7",
]
# First bytes, more first bytes, second bytes, more second bytes.
_DOUBLE_BYTE = {
    "sjis": ((0x81, 0x9F), (0xE0, 0xFC), (0x40, 0x7E), (0x80, 0xFC)),
    "cp932": ((0x81, 0x9F), (0xE0, 0xFC), (0x40, 0x7E), (0x80, 0xFC)),
    "gbk": ((0x81, 0xFE), (0x81, 0x81), (0x40, 0x7E), (0x80, 0xFE)),
    "big5": ((0xA1, 0xF9), (0xA1, 0xA1), (0x40, 0x7E), (0xA1, 0xFE)),
    "eucjpms": ((0xA1, 0xFE), (0xA1, 0xA1), (0xA1, 0xFE), (0xA1, 0xFE)),
    "euckr": ((0x81, 0xFE), (0x81, 0x81), (0x41, 0x5A), (0x81, 0xFE)),
    "gb2312": ((0xA1, 0xF7), (0xA1, 0xA1), (0xA1, 0xFE), (0xA1, 0xFE)),
}


def character_sets() -> Statements:
    """Every code point and every byte pair of the character sets that break naive quoting (hazards 28 and 86)."""
    statements = [*PRELUDE]
    for charset in _SINGLE_BYTE:
        values = (bytes([n]) for n in range(256))
        statements += _charset_table(charset, [*values, bytes(range(256))])
    for charset, (lead, lead2, trail, trail2) in _DOUBLE_BYTE.items():
        trails = sorted({*_span(trail), *_span(trail2)})
        leads = sorted({*_span(lead), *_span(lead2)})
        values_by_lead = [b"".join(bytes([a, b]) for b in trails) for a in leads]
        statements += _charset_table(charset, [b"'\\\n\r\0\x1a", *values_by_lead])
    # 0x5C as the second byte: the backslash that ends a string when the character set is guessed wrong.
    statements += [
        "INSERT INTO charset_sjis VALUES (900,_sjis X'815C',_sjis X'815C'),(901,_sjis X'835C27',_sjis X'955C')"
    ]
    statements += ["INSERT INTO charset_cp932 VALUES (900,_cp932 X'815C',_cp932 X'8160')"]
    for charset, codec in {
        "utf8mb3": "utf-8",
        "utf8mb4": "utf-8",
        "ucs2": "utf-16-be",
        "utf16": "utf-16-be",
        "utf16le": "utf-16-le",
        "utf32": "utf-32-be",
    }.items():
        blocks = [
            *_bmp_blocks(),
            *([] if charset in {"utf8mb3", "ucs2"} else ["😀👩‍👩‍👧‍👦🇪🇸", "\U00010000\U0010ffff"]),
        ]
        statements += _charset_table(charset, [block.encode(codec) for block in blocks])
    return statements


def _span(ends: tuple[int, int]) -> range:
    return range(ends[0], ends[1] + 1)


def _bmp_blocks() -> list[str]:
    points = [chr(n) for n in range(0x10000) if not 0xD800 <= n <= 0xDFFF]
    return ["".join(points[n : n + 512]) for n in range(0, len(points), 512)]


def _charset_table(charset: str, values: Iterable[bytes]) -> Statements:
    rows = [
        f"({n},_{charset} X'{value.hex()}',_{charset} X'{value.hex()}')"
        for n, value in enumerate(values)
    ]
    return [
        f"CREATE TABLE charset_{charset} (id int primary key, v varchar(1200) character set {charset}, x longtext character set {charset})",
        f"INSERT INTO charset_{charset} VALUES {','.join(rows)}",
    ]


def invalid_text() -> Statements:
    """Double-encoded UTF-8 in latin1, and the tables that `swap_in_invalid_text` turns into ones with invalid bytes (hazard 29)."""
    twice = "Ã©Ã¼ â‚¬ ðŸ˜€"  # noqa: RUF001  # what the wrong reading shows
    raw = (
        "X'80','ok',X'C328FF'",
        "X'E282','é',X'F0288CBC'",
        "X'EDA080','',X'C0AF'",
        "'fine',NULL,'fine'",
    )
    rows = ",".join(f"({n},{values})" for n, values in enumerate(raw))
    columns = "id int, v varchar({size}) character set {charset}, ok varchar({size}) character set {charset}, x text character set {charset}"
    statements = [
        *PRELUDE,
        "CREATE TABLE invalid_double (id int primary key, v varchar(99) character set latin1, u varchar(99) character set utf8mb4)",
        f"INSERT INTO invalid_double VALUES (1,_latin1 X'{'éü € 😀'.encode().hex()}','{twice}'),(2,_latin1 X'C3A9',_utf8mb4 X'C383C2A9')",
    ]
    for engine in ("MyISAM", "Aria"):
        name = f"invalid_{engine.lower()}"
        statements += [
            f"CREATE TABLE {name}_raw ({columns.format(size=80, charset='latin1')}) ENGINE={engine}",
            f"INSERT INTO {name}_raw VALUES {rows}",
            f"CREATE TABLE {name} ({columns.format(size=20, charset='utf8mb4')}) ENGINE={engine}",
        ]
    return [*statements, "FLUSH TABLES"]


def swap_in_invalid_text(datadir: Path, database: str) -> Statements:
    """
    Put bytes that are no UTF-8 under utf8mb4 columns, by exchanging the data files of tables of equal row layout.

    Run `invalid_text` first and the returned statements after it. No statement stores such bytes: literals are refused with 1300,
    conversions write question marks. Once they are in a table, INSERT ... SELECT carries them on unchecked.

    Args:
        datadir: Data directory of the server, readable and writable here.
        database: Database that holds the tables; its folder has the same name.

    Returns:
        Statements that make the server see the files and copy them to InnoDB.
    """
    folder = datadir / database
    for name, suffixes in {
        "invalid_myisam": (".MYD", ".MYI"),
        "invalid_aria": (".MAD", ".MAI"),
    }.items():
        for suffix in suffixes:
            # copyfile keeps owner and mode of the target.
            shutil.copyfile(folder / f"{name}_raw{suffix}", folder / f"{name}{suffix}")
    return [
        "FLUSH TABLES",
        "DROP TABLE invalid_myisam_raw, invalid_aria_raw",
        "CREATE TABLE invalid_innodb (PRIMARY KEY (id)) ENGINE=InnoDB SELECT * FROM invalid_myisam",
    ]


def dates_and_times() -> Statements:
    """Zero and invalid dates, all fractions of a second, the ends of TIME (hazard 30)."""
    columns = [f"dt{n} datetime({n}), ts{n} timestamp({n}) null, tm{n} time({n})" for n in range(7)]
    moments = [
        ("'0000-00-00 00:00:00'", "0", "'00:00:00'"),
        # Rounding 2020-02-31 to fewer digits gives a zero date, so only dt6 keeps this one.
        ("'2020-02-31 23:59:59.999999'", "'1970-01-01 00:00:01'", "'838:59:59.999999'"),
        ("'2020-02-31 23:59:59'", "'2038-01-19 03:14:07.999999'", "'-838:59:59.999999'"),
        ("'9999-12-31 23:59:59.999999'", "'2000-02-29 12:00:00.5'", "'-00:00:00.000001'"),
        ("'1000-01-01'", "'2020-06-01 01:02:03.000001'", "'99:59:59.9'"),
        ("'0001-01-01 00:00:00.1'", "NULL", "NULL"),
    ]
    dates = [
        "'0000-00-00'",
        "'2020-02-31'",
        "'2020-00-00'",
        "'2020-02-00'",
        "'9999-12-31'",
        "'0001-01-01'",
    ]
    rows = [
        f"({n},{date},{','.join(','.join(moment) for _ in range(7))})"
        for n, (date, moment) in enumerate(zip(dates, moments, strict=True))
    ]
    return [
        *PRELUDE,
        f"CREATE TABLE time_moments (id int primary key, d date, {','.join(columns)})",
        f"INSERT INTO time_moments VALUES {','.join(rows)}",
        # NOT NULL: such a zero date answers yes to IS NULL in a WHERE clause.
        "CREATE TABLE time_zero (d date not null, dt datetime not null, ts timestamp not null default 0, key (d), key (dt))",
        "INSERT INTO time_zero VALUES (0,0,0),('2020-01-01','2020-01-01','2020-01-01'),('0000-00-00','2020-02-31',0)",
    ]


def repeated_hour() -> Statements:
    """Two instants that print alike in Europe/Moscow, under a UNIQUE key (hazard 31)."""
    return [
        *PRELUDE,
        (
            "CREATE TABLE repeated_hour (id int primary key, ts timestamp not null default '2010-10-30 22:30:00', "
            "u timestamp(6) not null default current_timestamp(6) on update current_timestamp(6), unique (ts))"
        ),
        # The clocks went back at 23:00 UTC: both are 02:30 there.
        "INSERT INTO repeated_hour VALUES (1,'2010-10-30 22:30:00','2010-10-30 22:30:00.25'),(2,'2010-10-30 23:30:00','2010-10-30 23:30:00.25')",
    ]


def years() -> Statements:
    """YEAR at 0000, 1901 and 2155, and the years that two digits make (hazard 32)."""
    return [
        *PRELUDE,
        "CREATE TABLE years (id int primary key, y year, n year not null)",
        "INSERT INTO years VALUES (1,0,0),(2,'0','0'),(3,1901,1901),(4,2155,2155),(5,69,'70'),(6,NULL,2000),(7,'0000','0000')",
    ]
