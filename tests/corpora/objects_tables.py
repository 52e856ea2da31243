"""The objects of `tests.corpora.objects` that are kinds of tables, or bound to them."""

from tests.corpora.session import PRELUDE, Statements, name


def foreign_keys(database: str, other: str) -> Statements:
    """
    Foreign keys: self, circular, across two schemas in both directions, every action, an orphan (hazard 46).

    Args:
        database: The current database.
        other: An existing empty one; drop both together, with foreign_key_checks=0.
    """
    here, there = name(database), name(other)
    return [
        *PRELUDE,
        "SET SESSION foreign_key_checks=0",
        "CREATE TABLE fk_self (id int primary key, parent int, CONSTRAINT `fk self'` FOREIGN KEY (parent) REFERENCES fk_self (id) ON DELETE CASCADE)",
        "INSERT INTO fk_self VALUES (1,2),(2,1),(3,NULL)",
        # a needs b, b needs c, c needs a.
        *(
            f"CREATE TABLE fk_{a} (id int primary key, next_id int, FOREIGN KEY (next_id) REFERENCES fk_{b} (id) ON UPDATE {rule})"
            for a, b, rule in (
                ("a", "b", "CASCADE"),
                ("b", "c", "SET NULL"),
                ("c", "a", "NO ACTION"),
            )
        ),
        "INSERT INTO fk_a VALUES (1,1)",
        "INSERT INTO fk_b VALUES (1,1)",
        "INSERT INTO fk_c VALUES (1,1)",
        f"CREATE TABLE {here}.fk_near (id int primary key, far int, FOREIGN KEY (far) REFERENCES {there}.fk_far (id))",
        f"CREATE TABLE {there}.fk_far (id int primary key, near int, FOREIGN KEY (near) REFERENCES {here}.fk_near (id) ON DELETE RESTRICT)",
        f"INSERT INTO {here}.fk_near VALUES (1,1)",
        f"INSERT INTO {there}.fk_far VALUES (1,1)",
        "CREATE TABLE fk_wide (a int, b varchar(9), c int, key (a,b), FOREIGN KEY `fk wide` (a,b) REFERENCES fk_key (x,y) ON DELETE SET NULL ON UPDATE CASCADE)",
        # The key it points to is not unique, which InnoDB allows.
        "CREATE TABLE fk_key (x int, y varchar(9), key (x,y))",
        "INSERT INTO fk_key VALUES (1,'a'),(1,'a')",
        "INSERT INTO fk_wide VALUES (1,'a',1),(7,'orphan',2),(NULL,'a',3)",
        "SET SESSION foreign_key_checks=1",
    ]


def sequences(database: str) -> Statements:
    """
    Sequences: used, cycling, negative, exhausted, cached, Aria, as a DEFAULT with and without their schema's name (hazard 61).

    Args:
        database: The current database, which the server prints into the DEFAULT in any case.
    """
    return [
        *PRELUDE,
        "CREATE SEQUENCE sequence_plain",
        "CREATE SEQUENCE sequence_used START WITH 100 INCREMENT BY 10 MINVALUE 50 MAXVALUE 1000 CACHE 5 COMMENT='it''s'",
        "SELECT NEXTVAL(sequence_used), NEXTVAL(sequence_used)",
        "CREATE SEQUENCE sequence_negative START WITH -1 INCREMENT BY -3 MINVALUE -100 MAXVALUE -1 NOCACHE",
        "SELECT NEXTVAL(sequence_negative), NEXTVAL(sequence_negative)",
        "CREATE SEQUENCE sequence_cycle MINVALUE 1 MAXVALUE 3 NOCACHE CYCLE",
        # The fourth begins the second round: cycle_count is 1.
        "SELECT NEXTVAL(sequence_cycle), NEXTVAL(sequence_cycle), NEXTVAL(sequence_cycle), NEXTVAL(sequence_cycle)",
        "CREATE SEQUENCE sequence_exhausted MAXVALUE 2 NOCACHE",
        "SELECT NEXTVAL(sequence_exhausted), NEXTVAL(sequence_exhausted)",
        "CREATE SEQUENCE sequence_aria START WITH 7 INCREMENT BY 0 CACHE 3 ENGINE=Aria",
        "CREATE SEQUENCE `sequence ``x'y` START WITH 9223372036854775800",
        "SELECT SETVAL(sequence_plain, 5000)",
        (
            "CREATE TABLE sequence_default (id int default nextval(sequence_used) primary key, "
            f"q bigint default (next value for {name(database)}.sequence_plain), n int default (nextval(`sequence ``x'y`) % 7), v int)"
        ),
        "INSERT INTO sequence_default (v) VALUES (1),(2)",
        "INSERT INTO sequence_default VALUES (0,0,0,0)",
    ]


def versioned_tables() -> Statements:
    """System-versioned tables with history: implicit, explicit and hidden periods, columns without versioning (hazard 62)."""
    return [
        *PRELUDE,
        "CREATE TABLE versioned_implicit (id int primary key, v varchar(9)) WITH SYSTEM VERSIONING",
        (
            "CREATE TABLE versioned_explicit (id int, v varchar(9), w int WITHOUT SYSTEM VERSIONING, "
            "s timestamp(6) GENERATED ALWAYS AS ROW START, e timestamp(6) GENERATED ALWAYS AS ROW END, "
            "primary key (id), PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING"
        ),
        (
            "CREATE TABLE versioned_hidden (id int, `s``t` timestamp(6) AS ROW START INVISIBLE, en timestamp(6) AS ROW END INVISIBLE, "
            "PERIOD FOR SYSTEM_TIME (`s``t`, en)) WITH SYSTEM VERSIONING ENGINE=Aria"
        ),
        "CREATE TABLE versioned_columns (id int primary key, kept int WITH SYSTEM VERSIONING, loose int)",
        *(
            statement
            for table in ("versioned_implicit", "versioned_explicit")
            for statement in (
                f"INSERT INTO {table} (id, v) VALUES (1,'a'),(2,'b'),(3,'c')",
                f"UPDATE {table} SET v='a2' WHERE id=1",
                f"UPDATE {table} SET v='a3' WHERE id=1",
                f"DELETE FROM {table} WHERE id=2",
                f"INSERT INTO {table} (id, v) VALUES (2,'again')",
            )
        ),
        "INSERT INTO versioned_hidden (id) VALUES (1),(1),(2)",
        "DELETE FROM versioned_hidden WHERE id=1 LIMIT 1",
        "INSERT INTO versioned_columns VALUES (1,1,1)",
        "UPDATE versioned_columns SET loose=2",
        "UPDATE versioned_columns SET kept=2",
        # History from before the table was made, as a restore writes it.
        "SET SESSION system_versioning_insert_history=1",
        "INSERT INTO versioned_implicit (id,v,row_start,row_end) VALUES (1,'old','2001-01-01 00:00:00.000001','2002-01-01')",
        "SET SESSION system_versioning_insert_history=0",
    ]


def partitions() -> Statements:
    """Partitions of every kind, with subpartitions, DEFAULT, MAXVALUE, NULL rows, other engines, and by SYSTEM_TIME (hazard 54)."""
    kinds = {
        "range": "RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION `p``1` VALUES LESS THAN (100), PARTITION pmax VALUES LESS THAN MAXVALUE COMMENT 'it''s')",
        "range_columns": "RANGE COLUMNS (d, s) (PARTITION p0 VALUES LESS THAN ('2020-01-01','m'), PARTITION p1 VALUES LESS THAN (MAXVALUE,MAXVALUE))",
        "list": "LIST (id % 5) (PARTITION p0 VALUES IN (0,NULL), PARTITION p1 VALUES IN (1,2,-1,-2), PARTITION pd DEFAULT)",
        "list_columns": "LIST COLUMNS (s) (PARTITION p0 VALUES IN ('a','it''s','é'), PARTITION pd DEFAULT)",
        "hash": "HASH (id * 3) PARTITIONS 4",
        "linear_hash": "LINEAR HASH (id) PARTITIONS 3",
        "key": "KEY (id, s) PARTITIONS 3",
        "linear_key": "LINEAR KEY (s) PARTITIONS 2",
        "sub": "RANGE (YEAR(d)) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN MAXVALUE)",
        "sub_named": "LIST (id % 2) SUBPARTITION BY KEY (s) (PARTITION p0 VALUES IN (0) (SUBPARTITION a0, SUBPARTITION a1), "
        "PARTITION pd DEFAULT (SUBPARTITION b0, SUBPARTITION b1))",
    }
    rows = "(1,'2019-12-31','a',1.5),(5,'2020-01-01','it''s',NULL),(50,'2021-06-01','é',0),(500,'2030-01-01','zz',9),(-1,'2001-01-01','m',1)"
    statements = [*PRELUDE]
    for kind, rule in kinds.items():
        statements += [
            f"CREATE TABLE partition_{kind} (id int, d date, s varchar(9), n decimal(5,2), key (id)) PARTITION BY {rule}",
            f"INSERT INTO partition_{kind} VALUES {rows}",
        ]
    return [
        *statements,
        (
            "CREATE TABLE partition_unix (ts timestamp not null) PARTITION BY RANGE (UNIX_TIMESTAMP(ts)) "
            "(PARTITION p0 VALUES LESS THAN (UNIX_TIMESTAMP('2020-01-01 00:00:00')), PARTITION p1 VALUES LESS THAN MAXVALUE)"
        ),
        "INSERT INTO partition_unix VALUES ('2019-12-31 23:59:59'),('2020-01-01 00:00:00')",
        "CREATE TABLE partition_myisam (id int primary key) ENGINE=MyISAM PARTITION BY KEY () PARTITIONS 2",
        "INSERT INTO partition_myisam VALUES (1),(2),(3)",
        (
            "CREATE TABLE partition_system_limit (id int) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME LIMIT 3 "
            "(PARTITION p0 HISTORY, PARTITION p1 HISTORY, PARTITION pc CURRENT)"
        ),
        "INSERT INTO partition_system_limit VALUES (1),(2),(3)",
        "DELETE FROM partition_system_limit WHERE id<3",
        (
            "CREATE TABLE partition_system_interval (id int) WITH SYSTEM VERSIONING "
            "PARTITION BY SYSTEM_TIME INTERVAL 1 YEAR STARTS '2020-01-01 00:00:00' PARTITIONS 8"
        ),
        "INSERT INTO partition_system_interval VALUES (1),(2)",
        "DELETE FROM partition_system_interval WHERE id=1",
    ]


def engines() -> Statements:
    """Every engine that Debian's server has; ARCHIVE and BLACKHOLE are plugins of the same package and get loaded (hazard 53)."""
    statements = [
        *PRELUDE,
        # The SQL mode of the prelude turns a missing engine into an error.
        "INSTALL PLUGIN IF NOT EXISTS ARCHIVE SONAME 'ha_archive'",
        "INSTALL PLUGIN IF NOT EXISTS BLACKHOLE SONAME 'ha_blackhole'",
    ]
    columns = "id int not null, v varchar(20) not null, t varchar(99) not null"
    options = {
        "InnoDB": "ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=4",
        "MyISAM": "ROW_FORMAT=FIXED CHECKSUM=1 DELAY_KEY_WRITE=1 MAX_ROWS=1000 AVG_ROW_LENGTH=50",
        "Aria": "TRANSACTIONAL=1 PAGE_CHECKSUM=1 ROW_FORMAT=PAGE",
        "MEMORY": "MAX_ROWS=100",
        "CSV": "",
        "ARCHIVE": "",
        "BLACKHOLE": "",
    }
    for engine, extra in options.items():
        keys = "" if engine in {"CSV", "ARCHIVE"} else ", primary key (id), key (v) USING BTREE"
        statements += [
            f"CREATE TABLE engine_{engine.lower()} ({columns}{keys}) ENGINE={engine} {extra}".rstrip(),
            f"INSERT INTO engine_{engine.lower()} VALUES (1,'a,\"b\"','it''s'),(2,'','\\\\ \\n'),(3,'é😀','x')",
        ]
    return [
        *statements,
        "CREATE TABLE engine_part_a (id int not null, v varchar(20), key (id)) ENGINE=MyISAM",
        "CREATE TABLE engine_part_b LIKE engine_part_a",
        "INSERT INTO engine_part_a VALUES (1,'a')",
        "INSERT INTO engine_part_b VALUES (2,'b'),(1,'again')",
        # Holds no rows of its own: a dump of its content would be loaded twice.
        "CREATE TABLE engine_merge (id int not null, v varchar(20), key (id)) ENGINE=MERGE UNION=(engine_part_a,engine_part_b) INSERT_METHOD=LAST",
        "CREATE TABLE engine_fulltext (id int primary key, a text, b text, FULLTEXT KEY `f``t` (a,b), FULLTEXT KEY (b)) ENGINE=InnoDB",
        "INSERT INTO engine_fulltext VALUES (1,'hello world','x'),(2,NULL,'')",
        "CREATE TABLE engine_options (id int, key i (id) IGNORED) ENGINE=InnoDB PAGE_COMPRESSED=1 STATS_PERSISTENT=0 COMMENT='it''s */'",
        "CREATE TABLE engine_hash (v text, UNIQUE (v)) ENGINE=InnoDB",
        "INSERT INTO engine_hash VALUES (REPEAT('x',5000)),(''),(NULL)",
        "CREATE TABLE engine_period (id int, s date, e date, PERIOD FOR booking (s,e), UNIQUE (id, booking WITHOUT OVERLAPS))",
        "INSERT INTO engine_period VALUES (1,'2020-01-01','2020-02-01'),(1,'2020-02-01','2020-03-01')",
    ]
