"""DDL: what SHOW CREATE prints is taken apart without ever losing a character."""

import pytest
from hypothesis import given, strategies as st

from app.engine.sql import ddl, events, references
from app.engine.sql.quoting import quote
from app.errors import UnsupportedObjectError


PIECES = st.sampled_from([
    "'",
    '"',
    "`",
    "\\",
    "(",
    ")",
    ",",
    "a",
    " ",
    "''",
    "``",
    "'it''s'",
    "`x`",
    "\n",
    "--",
    "é",
    "\0",
])
TABLE = r"""CREATE TABLE `t``(` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'PRIMARY KEY (`x`), KEY',
  `b` varchar(20) DEFAULT ',)KEY `x` (`y`)',
  `e` enum('a','it''s',')') NOT NULL DEFAULT 'a',
  `c` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `u, (` (`b`),
  KEY `counter` (`id`,`c`),
  KEY `k` (`c`) COMMENT 'FULLTEXT KEY',
  FULLTEXT KEY `f` (`b`),
  CONSTRAINT `fk` FOREIGN KEY (`c`) REFERENCES `t``(` (`id`) ON DELETE CASCADE,
  CONSTRAINT `FOREIGN KEY` CHECK (`c` > 0 and `b` <> 'KEY `z` (`c`),')
) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COMMENT='AUTO_INCREMENT=9'"""


@given(st.lists(PIECES).map("".join))
def test_tokens_give_the_statement_back(sql):
    """No character is lost or added, quotes that nothing closes included."""
    assert "".join(ddl.tokens(sql)) == sql


@given(st.text(), st.text())
def test_names_and_texts_are_single_tokens(name, text):
    """A quoted name and a quoted text are one token each, whatever is in them."""
    literal = "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

    assert ddl.tokens(f"{quote(name)} {literal},") == [quote(name), " ", literal, ","]


def test_unqualify_removes_one_database_outside_of_texts():
    """Only a whole quoted name before a dot is a qualifier."""
    sql = "SELECT `db`.`t`.`db`, 'x `db`.`t`', `db2`.`db`.`x`, `db` AS `a` FROM `db`.`db`"

    expected = "SELECT `t`.`db`, 'x `db`.`t`', `db2`.`db`.`x`, `db` AS `a` FROM `db`"
    assert ddl.unqualify(sql, "db") == expected


@given(st.text(min_size=1), st.text(min_size=1))
def test_unqualify_leaves_other_databases(name, other):
    """A statement about another database stays as it is."""
    sql = f"SELECT 1 FROM {quote(other)}.{quote(name)}"

    changed = ddl.unqualify(sql, name)

    assert changed == (f"SELECT 1 FROM {quote(name)}" if name == other else sql)


def test_fingerprints_ignore_name_counter_and_directory():
    """A table is the same in a database of another name, with another counter, in another place."""
    numbered = "CREATE TABLE `t` (`a` int DEFAULT nextval(`x`.`s`)) ENGINE=InnoDB AUTO_INCREMENT=5"
    two = (
        "CREATE TABLE `t` (`a` int DEFAULT nextval(`y`.`s`)) ENGINE=InnoDB"
        " DATA DIRECTORY='/tmp/' INDEX DIRECTORY='/tmp/'"
    )

    assert ddl.fingerprint(numbered, "x") == ddl.fingerprint(two, "y")
    assert ddl.fingerprint(numbered, "x") != ddl.fingerprint(two, "x")
    assert ddl.fingerprint("COMMENT ' AUTO_INCREMENT=5'", "x") != ddl.fingerprint("COMMENT ''", "x")


def test_directories_in_comments_stay():
    """Only the option itself is dropped."""
    sql = "ENGINE=InnoDB COMMENT=' DATA DIRECTORY=' DATA DIRECTORY='/var/x'"

    assert ddl.without_directories(sql) == "ENGINE=InnoDB COMMENT=' DATA DIRECTORY='"


def test_staging_without_deferring_moves_foreign_keys_only():
    """Foreign keys wait for the other tables in any case."""
    staged = ddl.staged(TABLE, defer_indexes=False)

    assert staged.indexes == staged.fulltext == ()
    assert [name for name, _ in references.foreign_keys(TABLE)] == ["fk"]
    assert "CONSTRAINT `FOREIGN KEY` CHECK" in staged.create
    assert "REFERENCES" not in staged.create


def test_staging_defers_what_is_not_needed_for_the_rows():
    """Secondary indexes come later, but not the primary key."""
    staged = ddl.staged(TABLE, defer_indexes=True)

    assert staged.indexes == (
        "ADD UNIQUE KEY `u, (` (`b`)",
        "ADD KEY `counter` (`id`,`c`)",
        "ADD KEY `k` (`c`) COMMENT 'FULLTEXT KEY'",
    )
    assert staged.fulltext == ("ADD FULLTEXT KEY `f` (`b`)",)
    assert "PRIMARY KEY (`id`)" in staged.create
    assert staged.create.endswith("COMMENT='AUTO_INCREMENT=9'")


def test_staging_keeps_the_order_of_indexes():
    """What stands before an index that the rows need is made with it; unique ones have their own order."""
    items = [
        "`id` int NOT NULL",
        "`c` int NOT NULL AUTO_INCREMENT",
        "PRIMARY KEY (`id`)",
        "UNIQUE KEY `u` (`id`,`c`)",
        "KEY `a` (`id`)",
        "KEY `needed` (`c`)",
        "KEY `also` (`c`,`id`)",
        "SPATIAL KEY `g` (`g`)",
    ]
    vector = [*items[:5], "VECTOR KEY `v` (`v`) `M`=8", *items[5:]]

    staged = ddl.staged(f"CREATE TABLE `t` (\n  {', '.join(items)}\n) X", defer_indexes=True)
    with_vector = ddl.staged(f"CREATE TABLE `t` (\n  {', '.join(vector)}\n) X", defer_indexes=True)

    assert staged.indexes == (
        "ADD UNIQUE KEY `u` (`id`,`c`)",
        "ADD KEY `also` (`c`,`id`)",
        "ADD SPATIAL KEY `g` (`g`)",
    )
    assert with_vector.indexes == staged.indexes
    assert "VECTOR KEY" in with_vector.create


def test_remarks_of_the_server_are_none_of_a_definition():
    """Comments outside of texts are dropped, whatever texts are in them; executable ones stay."""
    sql = (
        "CREATE TABLE `/* t` (\n  `d` datetime /* mariadb-5.3 */ DEFAULT NULL COMMENT '/* c */'"
        " /* `foo`='it''s */' */,\n  KEY `k` (`d`)\n) /* `x`='y' */\n/*!50100 PARTITION BY HASH (1) */"
    )

    assert ddl.without_remarks(sql) == (
        "CREATE TABLE `/* t` (\n  `d` datetime DEFAULT NULL COMMENT '/* c */',\n"
        "  KEY `k` (`d`)\n)\n/*!50100 PARTITION BY HASH (1) */"
    )
    assert ddl.table_fingerprint(sql, "x") == ddl.table_fingerprint(ddl.without_remarks(sql), "x")


def test_staging_keeps_unique_keys_without_a_primary_one():
    """A unique key may be the order in which the rows are stored."""
    sql = "CREATE TABLE `t` (\n  `a` int NOT NULL,\n  UNIQUE KEY `u` (`a`),\n  KEY `k` (`a`)\n) ENGINE=InnoDB"

    staged = ddl.staged(sql, defer_indexes=True)

    assert "UNIQUE KEY `u`" in staged.create
    assert staged.indexes == ("ADD KEY `k` (`a`)",)


def test_staging_leaves_a_definition_without_items():
    """A definition in an unusual form is used as it is."""
    assert (
        ddl.staged("CREATE TABLE `t` LIKE `u`", defer_indexes=True).create
        == "CREATE TABLE `t` LIKE `u`"
    )


def test_texts_that_are_no_utf8_become_hex():
    """Raw bytes between quotes are written as hex, escapes undone; the rest stays."""
    sql = b"`a` varchar(9) DEFAULT '\xff''\\n', `b` int COMMENT 'x'".decode(
        "utf-8", "surrogateescape"
    )

    assert ddl.utf8_only(sql) == "`a` varchar(9) DEFAULT  X'ff270a', `b` int COMMENT 'x'"
    assert ddl.utf8_only("`a` DEFAULT 'é'") == "`a` DEFAULT 'é'"


@pytest.mark.parametrize(
    ("status", "was_enabled"),
    [
        ("ENABLE", True),
        ("DISABLE", False),
        ("DISABLE ON SLAVE", False),
        ("DISABLE ON REPLICA", False),
    ],
)
def test_events_are_disabled_for_the_load(status, was_enabled):
    """An enabled event is created disabled; texts that look like the clause are left alone."""
    sql = f"CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY ON COMPLETION NOT PRESERVE {status} COMMENT ' ON COMPLETION PRESERVE ENABLE' DO SELECT 1"

    changed, enabled = events.disabled_event(sql)

    assert enabled is was_enabled
    assert changed == (sql.replace("PRESERVE ENABLE COMMENT", "PRESERVE DISABLE COMMENT"))


def test_the_schedule_of_an_event_is_found_beside_texts_that_look_like_it():
    """In names and comments, and between quotes of its own."""
    when = "ON SCHEDULE EVERY '1:2' HOUR_MINUTE STARTS '2001-01-01 00:00:00' ENDS '2002-01-01 00:00:00'"
    rest = "COMMENT ' ON COMPLETION PRESERVE ENABLE' DO SELECT 1"
    for completion, stays in (("NOT PRESERVE", False), ("PRESERVE", True)):
        sql = f"CREATE EVENT `ON SCHEDULE AT ` {when} ON COMPLETION {completion} ENABLE {rest}"
        assert events.schedule(sql) == (when, stays)


# Names that a search for words, brackets, commas, dots or quotes would fall for.
NASTY = (
    "plain",
    "`",
    "a`b``",
    "a.b",
    ",",
    "(",
    ")`,(",
    "it's",
    'say "x',
    " REFERENCES ",
    "x REFERENCES `y` (`z`)",
    "FOREIGN KEY (`a`)",
    "CONSTRAINT",
    "back\\slash",
    "表, (ref)",
    "-- x",
    "/*",
    ".",
)
NAMES = st.sampled_from(NASTY) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8
)
COLUMNS = st.lists(NAMES, min_size=1, max_size=3)
TAIL = " ON DELETE SET NULL ON UPDATE CASCADE"


def printed(columns, parent, theirs, database="", tail=""):
    """Write a foreign key as SHOW CREATE TABLE prints it, from `FOREIGN KEY` on."""
    own, others = (", ".join(map(quote, names)) for names in (columns, theirs))
    place = f"{quote(database)}." if database else ""
    return f"FOREIGN KEY ({own}) REFERENCES {place}{quote(parent)} ({others}){tail}"


@given(st.lists(st.tuples(NAMES, COLUMNS, NAMES), max_size=3), NAMES, NAMES)
def test_foreign_keys_are_found_whatever_the_names(keys, column, comment):
    """Neither names nor comments nor checks are taken for foreign keys, and none is missed."""
    text = "'" + comment.replace("\\", "\\\\").replace("'", "''") + "'"
    clauses = [(name, printed(own, parent, own, tail=TAIL)) for name, own, parent in keys]
    constraints = [f"CONSTRAINT {quote(name)} {clause}" for name, clause in clauses]
    before = [
        f"{quote(column)} int(11) DEFAULT NULL COMMENT {text}",
        f"KEY {quote(column)} ({quote(column)}) COMMENT {text}",
    ]
    after = [f"CONSTRAINT {quote(comment)} CHECK ({quote(column)} <> {text})"]

    def table(items):
        return f"CREATE TABLE {quote(column)} (\n  " + ",\n  ".join(items) + f"\n) COMMENT={text}"

    sql = table(before + constraints + after)

    assert references.foreign_keys(sql) == clauses
    assert ddl.staged(sql, defer_indexes=False).create == table(before + after)


@given(COLUMNS, NAMES, COLUMNS, st.just("") | NAMES)
def test_a_foreign_key_tells_its_columns_and_its_parent(columns, parent, theirs, database):
    """They come back as they were printed, on either side."""
    clause = printed(columns, parent, theirs, database, TAIL)

    assert references.foreign_key_columns(clause) == (
        [quote(name) for name in columns],
        [quote(name) for name in theirs],
    )
    assert references.parent_of(clause) == (database, parent)


@given(COLUMNS, NAMES, COLUMNS, st.just("") | NAMES, NAMES, NAMES)
def test_a_parent_is_replaced_and_nothing_else(columns, parent, theirs, database, home, name):
    """Columns and rules stay, whether or not the old parent was qualified."""
    clause = printed(columns, parent, theirs, database, TAIL)

    changed = references.with_parent(clause, home, name)

    assert changed == printed(columns, name, theirs, home, TAIL)
    assert references.parent_of(changed) == (home, name)


def test_a_database_goes_only_where_a_view_names_one():
    """Aliases, columns and tables of the same name stay, and texts."""
    view = (
        "CREATE VIEW `v` AS select `db`.`a` AS `db`,`db`.`db`.`b` AS `b`,`db`.`f`(`db`.`c`) AS `f`,"
        "extract(year from `db`.`d`) AS `y`,nextval(`db`.`s`) AS `n`,'`db`.`t`' AS `t`"
        " from ((`db`.`db` join `db`.`t` `db` on(`db`.`a` = `o`.`t`.`a`)) join `o`.`db` on(`db`.`e`))"
    )

    assert references.with_databases(view, {"db": "", "o": "p"}) == (
        "CREATE VIEW `v` AS select `db`.`a` AS `db`,`db`.`b` AS `b`,`f`(`db`.`c`) AS `f`,"
        "extract(year from `db`.`d`) AS `y`,nextval(`s`) AS `n`,'`db`.`t`' AS `t`"
        " from ((`db` join `t` `db` on(`db`.`a` = `p`.`t`.`a`)) join `p`.`db` on(`db`.`e`))"
    )


@pytest.mark.parametrize(
    ("items", "tail"),
    [
        ("`a` int(11)", "SELECT 1 AS a"),
        ("`a` int(11)", "ENGINE=InnoDB AS TABLE `live`.`t`"),
        ("`a` int(11) REFERENCES `live`.`t` (`id`)", ""),
    ],
)
def test_a_table_that_reaches_for_others_is_refused(items, tail):
    """No SHOW CREATE prints a copy, or a foreign key in a column."""
    with pytest.raises(UnsupportedObjectError):
        ddl.staged(f"CREATE TABLE `t` (\n  {items}\n) {tail}", defer_indexes=False)


def test_words_in_names_and_comments_reach_for_nothing():
    """Only words of the statement itself do."""
    sql = (
        "CREATE TABLE `SELECT` (\n  `REFERENCES` int(11) COMMENT 'REFERENCES `t` (`a`)',\n"
        "  CONSTRAINT `k` FOREIGN KEY (`REFERENCES`) REFERENCES `t` (`a`)\n"
        ") ENGINE=CONNECT COMMENT='LIKE TABLE' `TABLE_TYPE`='DOS' TABLE_NAME='SELECT'"
    )

    made = ddl.staged(sql, defer_indexes=False).create

    assert "COMMENT 'REFERENCES `t` (`a`)'" in made
    assert "FOREIGN KEY" not in made


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("`a` text CHARACTER SET latin1 COLLATE latin1_bin,", "`a` text COLLATE latin1_bin,"),
        ("`a` text CHARACTER SET utf8mb4 NOT NULL", "`a` text COLLATE utf8mb4_0900_ai_ci NOT NULL"),
        ("`a` text CHARACTER SET utf8 COLLATE utf8mb4_bin", None),
        ("`a` int COMMENT ' CHARACTER SET latin1 COLLATE latin1_bin'", None),
        ("`x CHARACTER SET latin1 COLLATE latin1_bin` int", None),
    ],
)
def test_a_character_set_is_dropped_where_the_collation_names_it(printed, expected):
    """Outside of texts and names, and only where both say the same; alone, it becomes its default collation."""
    assert ddl.without_charsets(printed) == (expected or printed)


def test_a_table_that_is_not_encrypted_is_the_same_in_any_database():
    """MySQL says so only where the database encrypts; what a comment says, or that it is encrypted, counts."""
    plain = "CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB COMMENT='(x)'{}\n/*!50100 PARTITION BY HASH (`a`) */"

    def digest(sql: str) -> str:
        return ddl.table_fingerprint(sql, "d")

    for said in (" ENCRYPTION='{}'", " /*!80016 ENCRYPTION='{}' */"):
        assert digest(plain.format(said.format("N"))) == digest(plain.format(""))
        assert digest(plain.format(said.format("Y"))) != digest(plain.format(""))
    texts = [
        "CREATE TABLE `t` (`a` int COMMENT ' /*!80016 ENCRYPTION=''N'' */')",
        "CREATE TABLE `t` (`a` int COMMENT '')",
    ]
    assert digest(texts[0]) != digest(texts[1])


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (" CHARACTER SET utf8mb3 COLLATE utf8mb3_bin NOT NULL", " COLLATE utf8mb3_bin NOT NULL"),
        (" CHARACTER SET utf8mb3 NOT NULL", " COLLATE utf8mb3_general_ci NOT NULL"),
        (" CHARACTER SET latin1", " COLLATE latin1_swedish_ci"),
        (" CHARACTER SET utf8mb4", " COLLATE utf8mb4_0900_ai_ci"),
        (" COMMENT ' CHARACTER SET utf8mb3'", " COMMENT ' CHARACTER SET utf8mb3'"),
    ],
)
def test_a_collation_alone_names_the_character_set_of_a_column(printed, expected):
    """However MySQL prints a column, by how that was made, its definition is one."""
    table = "CREATE TABLE `t` (`a` enum('x',' CHARACTER SET y'){}, `b` int)"

    assert ddl.without_charsets(table.format(printed)) == table.format(expected)
