"""Tables of awkward sizes and of awkward keys; statements for the current database of one session."""

from tests.corpora.session import PRELUDE, Statements, name, text


def large_values(blob_megabytes: int) -> Statements:
    """
    One row whose value is larger than what HEX, QUOTE or CONCAT may return, between two small ones (hazards 82 and 84).

    The values are made on the server. REPEAT gives NULL beyond its max_allowed_packet (16 MiB by default): for more,
    raise the global value and connect anew before this, and set it back after.
    """
    size = blob_megabytes << 20
    return [
        *PRELUDE,
        "CREATE TABLE large_values (id int primary key, before_it varchar(9), b longblob, t longtext character set utf8mb4, after_it int)",
        "INSERT INTO large_values VALUES (1,'small',X'00FF','x',1)",
        f"INSERT INTO large_values VALUES (2,'wide',REPEAT(X'5C2700FF',{size // 4}),NULL,2)",
        f"INSERT INTO large_values VALUES (3,'wide',NULL,REPEAT('é\\'\\\\',{size // 4}),3)",
        "INSERT INTO large_values VALUES (4,NULL,'','',NULL)",
    ]


def wide_tables() -> Statements:
    """Tables of 1000 and of 1017 columns, the most that InnoDB takes, and one of 2000 in Aria (hazard 49)."""
    statements = [*PRELUDE]
    for count, engine in ((1000, "InnoDB"), (1017, "InnoDB"), (2000, "Aria")):
        kinds = ("int", "varchar(3)", "tinyint unsigned", "float", "date")
        columns = ",".join(f"`c {n}` {kinds[n % len(kinds)]}" for n in range(count))
        values = ("-1", "'a''\\\\'", "255", "0.1", "'2020-01-01'")
        row = ",".join(values[n % len(values)] for n in range(count))
        nulls = ",".join("NULL" if n % 3 else values[n % len(values)] for n in range(count))
        statements += [
            f"CREATE TABLE wide_columns_{count} ({columns}) ENGINE={engine}",
            f"INSERT INTO wide_columns_{count} VALUES ({row}),({nulls}),({row})",
        ]
    return statements


def many_tables(count: int) -> Statements:
    """Many small tables, every third one empty, every hundredth with an index and a foreign key (hazard 50)."""
    statements = [*PRELUDE, "SET SESSION foreign_key_checks=0"]
    for n in range(count):
        extra = (
            ", key (v), foreign key (parent) references many_000000 (id)"
            if n and n % 100 == 0
            else ""
        )
        table = f"many_{n:06d}"
        statements.append(
            f"CREATE TABLE {table} (id int auto_increment primary key, v varchar(20), parent int{extra})"
        )
        if n % 3:
            statements.append(f"INSERT INTO {table} (v) VALUES ('{n}'),(NULL)")
    return [*statements, "SET SESSION foreign_key_checks=1"]


def empty_tables() -> Statements:
    """Empty tables: never filled, emptied again, and one of each engine (hazard 51)."""
    statements = [*PRELUDE]
    statements.extend(
        f"CREATE TABLE empty_{engine.lower()} (id int auto_increment primary key, v varchar(9)) ENGINE={engine}"
        for engine in ("InnoDB", "MyISAM", "Aria", "MEMORY")
    )
    return [
        *statements,
        "CREATE TABLE empty_emptied (id int auto_increment primary key)",
        "INSERT INTO empty_emptied VALUES (1),(2)",
        "DELETE FROM empty_emptied",
    ]


def repeated_rows() -> Statements:
    """Rows without a key, two and three and many times over: a xor of hashes sees none of the pairs (hazard 48)."""
    return [
        *PRELUDE,
        "CREATE TABLE repeated_twice (a int, b varchar(9))",
        "INSERT INTO repeated_twice VALUES (1,'x'),(1,'x'),(NULL,NULL),(NULL,NULL),(2,'')",
        "CREATE TABLE repeated_thrice (a int, b varchar(9), key (a))",
        "INSERT INTO repeated_thrice VALUES (1,'x'),(1,'x'),(1,'x'),(1,'X'),(1,'x '),(NULL,NULL),(NULL,NULL),(NULL,NULL)",
        "CREATE TABLE repeated_many (a int, b varchar(20))",
        "INSERT INTO repeated_many SELECT seq % 7, REPEAT('x', seq % 3) FROM seq_1_to_5000",
    ]


def statement_edges(split_bytes: int) -> Statements:
    """
    Text of 500 bytes, 65 KB and 1 MB, and rows that end just before, at and after a statement of `split_bytes` (hazards 83 and 85).

    The text is full of what ends a row or a statement when it is read as SQL.
    """
    piece = "'),\n('x\\', ;\r\n-- \n"
    width = len(piece)
    statements = [
        *PRELUDE,
        "CREATE TABLE statement_edges (id int primary key, t longtext character set utf8mb4)",
    ]
    for n, size in enumerate((500, 65 << 10, 1 << 20)):
        statements.append(
            f"INSERT INTO statement_edges VALUES ({n},REPEAT({text(piece)},{size // width}))"
        )
    for n, around in enumerate(range(-4, 5)):
        # Two rows share a statement when their lengths and the syntax around them fit.
        size = split_bytes // 2 + around
        statements.append(
            f"INSERT INTO statement_edges VALUES ({100 + 2 * n},REPEAT('x',{size})),({101 + 2 * n},REPEAT('é',{max(size // 2, 0)}))"
        )
    full = split_bytes + 1
    return [
        *statements,
        f"INSERT INTO statement_edges VALUES (200,REPEAT('\\'',{full})),(201,REPEAT('\\\\',{full})),(202,'')",
    ]


def sparse_keys() -> Statements:
    """Sparse integer keys: one huge outlier, negatives, the largest unsigned, the smallest signed (hazards 3 and 67)."""
    return [
        *PRELUDE,
        "CREATE TABLE sparse_outlier (id bigint primary key, v int)",
        "INSERT INTO sparse_outlier SELECT seq, seq FROM seq_1_to_3000",
        "INSERT INTO sparse_outlier VALUES (9223372036854775807,0),(-9223372036854775808,1),(0,2),(4611686018427387904,3)",
        "CREATE TABLE sparse_unsigned (id bigint unsigned primary key)",
        "INSERT INTO sparse_unsigned VALUES (0),(1),(9223372036854775807),(9223372036854775808),(18446744073709551615)",
        "CREATE TABLE sparse_tiny (id tinyint primary key)",
        "INSERT INTO sparse_tiny SELECT CAST(seq AS SIGNED)-128 FROM seq_0_to_255",
        "CREATE TABLE sparse_clumps (id int primary key, v varchar(200))",
        "INSERT INTO sparse_clumps SELECT FLOOR(seq/100)*1000000+seq, REPEAT('x', seq % 200) FROM seq_1_to_2000",
    ]


def collated_keys() -> Statements:
    """Composite keys, and string keys whose order and equality are the collation's (hazard 68)."""
    return [
        *PRELUDE,
        "CREATE TABLE collated_composite (a int, b varchar(10), c date, v int, primary key (a,b,c))",
        "INSERT INTO collated_composite SELECT seq % 3, CONCAT('k',seq % 50), '2020-01-01' + INTERVAL FLOOR(seq/50) DAY, seq FROM seq_1_to_3000",
        "CREATE TABLE collated_sparse (a bigint, b bigint, primary key (a,b))",
        "INSERT INTO collated_sparse VALUES (-9223372036854775808,0),(1,1),(1,9223372036854775807),(2,-1),(9223372036854775807,5)",
        "CREATE TABLE collated_ci (k varchar(30) character set utf8mb4 collate utf8mb4_general_ci primary key)",
        "INSERT INTO collated_ci SELECT CONCAT(ELT(1+seq%4,'a','A','é','E'), seq, ELT(1+seq%2,'',' x')) FROM seq_1_to_2000",
        "INSERT INTO collated_ci VALUES (''),('ß'),('zz\\'\\\\'),('😀'),('ÿ')",
        "CREATE TABLE collated_nopad (k varchar(9) character set utf8mb4 collate utf8mb4_nopad_bin primary key)",
        "INSERT INTO collated_nopad VALUES ('a'),('A'),('a '),('a  '),('é'),('e'),('e\u0301'),(''),(' ')",
        # With a secondary key only: equal under the collation, so a boundary falls between equal keys.
        "CREATE TABLE collated_equal (k varchar(9) character set utf8mb4 collate utf8mb4_general_ci, v int, key (k))",
        "INSERT INTO collated_equal SELECT ELT(1+seq%5,'a','A','a ','á','Ä'), seq FROM seq_1_to_1000",
        "CREATE TABLE collated_latin (k char(5) character set latin1 collate latin1_german2_ci primary key)",
        "INSERT INTO collated_latin VALUES ('ä'),('b'),('af'),('ss'),('z')",
        "CREATE TABLE collated_sjis (k varchar(9) character set sjis primary key)",
        "INSERT INTO collated_sjis VALUES (_sjis X'815C'),(_sjis X'835C'),(_sjis X'5C'),(_sjis X'B1')",
    ]


def unusual_keys() -> Statements:
    """Keys that must not be cut into ranges by guess: BINARY, ENUM, FLOAT, BIT, nullable unique, prefixes, UUID (hazard 69)."""
    return [
        *PRELUDE,
        "CREATE TABLE unusual_binary (k binary(16) primary key, v int)",
        "INSERT INTO unusual_binary SELECT UNHEX(MD5(seq)), seq FROM seq_1_to_2000",
        "CREATE TABLE unusual_enum (e enum('z','a','m'), n int, primary key (e,n))",
        "INSERT INTO unusual_enum SELECT 1+seq%3, seq FROM seq_1_to_900",
        "CREATE TABLE unusual_float (f float primary key, d double unique)",
        "INSERT INTO unusual_float SELECT seq/10, seq/3 FROM seq_1_to_500",
        "CREATE TABLE unusual_nullable (k int unique, v int)",
        "INSERT INTO unusual_nullable SELECT IF(seq%3, seq, NULL), seq FROM seq_1_to_900",
        "CREATE TABLE unusual_prefix (k text not null, v int, unique (k(4)))",
        "INSERT INTO unusual_prefix SELECT CONCAT(LPAD(seq,4,'0'),' tail ',seq), seq FROM seq_1_to_900",
        "CREATE TABLE unusual_bit (b bit(33) primary key)",
        "INSERT INTO unusual_bit SELECT seq*9999999 FROM seq_0_to_500",
        "CREATE TABLE unusual_uuid (u uuid primary key)",
        "INSERT INTO unusual_uuid SELECT CONCAT(LEFT(MD5(seq),12),'4',SUBSTR(MD5(seq),14,3),'8',SUBSTR(MD5(seq),18,15)) FROM seq_1_to_900",
        "CREATE TABLE unusual_decimal (d decimal(20,10) primary key)",
        "INSERT INTO unusual_decimal SELECT (CAST(seq AS SIGNED)-400)/7 FROM seq_1_to_900",
        "CREATE TABLE unusual_moment (ts timestamp(6) primary key, v int)",
        "INSERT INTO unusual_moment SELECT TIMESTAMP'2020-01-01 00:00:00' + INTERVAL seq*1000003 MICROSECOND, seq FROM seq_1_to_900",
        "CREATE TABLE unusual_descending (k int, v int, primary key (k desc))",
        "INSERT INTO unusual_descending SELECT seq, 1 FROM seq_1_to_900",
    ]


def counted_rows(count: int) -> Statements:
    """
    Tables of exactly `count` rows under an integer key, a string key and no key (hazards 1 and 70).

    Call it with 0, 1, and one less, as many and one more than a chunk holds.
    """
    rows = f"FROM seq_1_to_{count} WHERE {count} > 0" if count else "FROM seq_1_to_1 WHERE 0"
    return [
        *PRELUDE,
        "CREATE TABLE counted_int (id int primary key, v varchar(20))",
        f"INSERT INTO counted_int SELECT seq, CONCAT('row ',seq) {rows}",
        "CREATE TABLE counted_string (k varchar(20) primary key, v int)",
        f"INSERT INTO counted_string SELECT CONCAT('k',LPAD(seq,9,'0')), seq {rows}",
        f"CREATE TABLE {name('counted_none')} (v varchar(20))",
        f"INSERT INTO counted_none SELECT CONCAT('row ',seq) {rows}",
    ]
