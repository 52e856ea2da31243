"""The second half of `tests.corpora.types`: types with rules of their own, and columns that are not plain values."""

from tests.corpora.session import PRELUDE, Statements


def enums_and_sets() -> Statements:
    """ENUM index 0 beside a real empty member, SET of 64 members, labels with quotes and commas (hazards 33 and 65)."""
    members = ",".join(f"'m{n}'" for n in range(64))
    many = ",".join(f"'v{n}'" for n in range(300))
    return [
        *PRELUDE,
        (
            "CREATE TABLE enum_labels (id int primary key, e enum('a','','b') , n enum('','it''s','a,b','\\\\','é😀') not null, "
            f"s set({members}), q set('','x''y','0','1'), l enum('ß','ÿ') character set latin1)"
        ),
        # 99 is no index: the server stores index 0.
        (
            "INSERT INTO enum_labels VALUES (1,0,0,0,0,0),(2,'','','','',1),(3,99,99,18446744073709551615,15,99),"
            "(4,'a',5,'m63',4,2),(5,NULL,2,NULL,NULL,NULL),(6,3,3,9223372036854775808,1,1),(7,'nothing',4,'m0,m63','1','x')"
        ),
        f"CREATE TABLE enum_many (e enum({many}) primary key)",
        "INSERT INTO enum_many VALUES (1),(255),(256),(300)",
    ]


def json_texts() -> Statements:
    """JSON with every escape, four-byte characters, depth, big numbers, duplicate keys and blanks that must stay (hazard 34)."""
    deep = "[" * 30 + "]" * 30
    values = [
        "NULL",
        "'null'",
        "'\"\"'",
        "'{}'",
        '\' { "a" : 1,\\n\\t"a":2 } \'',
        '\'"\\\\u0000\\\\ud83d\\\\ude00 \\\\" \\\\\\\\ \\\\/"\'',
        '\'{"😀":"é\\\'"}\'',
        f"'{deep}'",
        "'[18446744073709551615,-9223372036854775808,1e308,0.1,1.0,123456789012345678901234567890.123456789]'",
        "REPEAT('1',20)",
        # Accepted with check_constraint_checks=0 only.
        "'{broken'",
        "''",
    ]
    rows = ",".join(f"({n},{value})" for n, value in enumerate(values))
    return [
        *PRELUDE,
        "CREATE TABLE json_texts (id int primary key, j json)",
        f"INSERT INTO json_texts VALUES {rows}",
        "INSERT INTO json_texts SELECT 100, CONCAT('[', GROUP_CONCAT(CONCAT('\"', seq, '\"')), ']') FROM seq_1_to_2000",
        "CREATE TABLE json_generated (id int primary key, j json not null default '{}', v varchar(20) as (json_value(j,'$.a')) stored, key (v))",
        'INSERT INTO json_generated (id,j) VALUES (1,\'{"a":"x"}\'),(2,DEFAULT)',
    ]


def shapes() -> Statements:
    """All eight kinds of geometry, with SRID 0 and 4326, empty, three levels deep (hazard 35)."""
    shapes = {
        "geometry": "POINT(1 2)",
        "point": "POINT(-179.999999999 89.5)",
        "linestring": "LINESTRING(0 0,1 1,2 0.1)",
        "polygon": "POLYGON((0 0,10 0,10 10,0 10,0 0),(1 1,2 1,2 2,1 2,1 1))",
        "multipoint": "MULTIPOINT(0 0,1e300 -1e-300)",
        "multilinestring": "MULTILINESTRING((0 0,1 1),(2 2,3 3,4 4))",
        "multipolygon": "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))",
        "geometrycollection": "GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1),GEOMETRYCOLLECTION(POINT(9 9)))",
    }
    columns = ",".join(f"g_{kind} {kind}" for kind in shapes)
    plain = ",".join(f"ST_GeomFromText('{shape}')" for shape in shapes.values())
    placed = ",".join(f"ST_GeomFromText('{shape}',4326)" for shape in shapes.values())
    return [
        *PRELUDE,
        f"CREATE TABLE shape_kinds (id int primary key, {columns})",
        f"INSERT INTO shape_kinds VALUES (1,{plain}),(2,{placed})",
        "INSERT INTO shape_kinds (id) VALUES (3)",
        (
            "INSERT INTO shape_kinds (id,g_geometry,g_geometrycollection) VALUES "
            "(4,ST_GeomFromText('GEOMETRYCOLLECTION EMPTY'),ST_GeomFromText('GEOMETRYCOLLECTION EMPTY',4326))"
        ),
        # REF_SYSTEM_ID is taken, and missing from SHOW CREATE TABLE for ever after.
        "CREATE TABLE shape_indexed (id int primary key, p point ref_system_id=4326 not null, spatial key (p))",
        "INSERT INTO shape_indexed SELECT seq, ST_GeomFromText(CONCAT('POINT(',seq,' ',seq/3,')'),4326) FROM seq_1_to_50",
    ]


def bits() -> Statements:
    """BIT(1), BIT(7), BIT(8) and BIT(64), packed and in keys (hazard 36)."""
    values = [0, 1, 0x27, 0x5C, 0x7F]
    rows = ",".join(f"({n},{v & 1},{v},{v},{v})" for n, v in enumerate(values))
    return [
        *PRELUDE,
        "CREATE TABLE bit_widths (id int primary key, b1 bit(1) default b'1', b7 bit(7) default b'1010101', b8 bit(8), b64 bit(64), key (b64))",
        f"INSERT INTO bit_widths VALUES {rows},(90,1,127,255,18446744073709551615),(91,0,0,39,9223372036854775808),(92,NULL,NULL,NULL,NULL)",
        "INSERT INTO bit_widths (id) VALUES (93)",
        "CREATE TABLE bit_myisam (b1 bit(1), b9 bit(9) primary key) ENGINE=MyISAM",
        "INSERT INTO bit_myisam VALUES (NULL,0),(1,511),(0,256)",
    ]


def decimals() -> Statements:
    """DECIMAL at 65 digits with 30 behind the point: no float can hold it (hazard 37)."""
    nines = "9" * 35 + "." + "9" * 30
    return [
        *PRELUDE,
        "CREATE TABLE decimals (id int primary key, d decimal(65,30), w decimal(65,0), s decimal(30,30), n numeric(5,2) unsigned)",
        (
            f"INSERT INTO decimals VALUES (1,{nines},{'9' * 65},0.{'9' * 30},999.99),(2,-{nines},-{'9' * 65},-0.{'9' * 30},0),"
            f"(3,0.{'0' * 29}1,0,0.{'0' * 29}1,0.01),(4,-0.0,-0,-0.0,0),(5,NULL,NULL,NULL,NULL),(6,1234567890123456789012.5,1,0.1,1.005)"
        ),
    ]


def uuids_and_addresses() -> Statements:
    """UUID, INET4 and INET6 at both ends, as keys, whose order is not the order of their text (hazard 38)."""
    return [
        *PRELUDE,
        "CREATE TABLE uuid_addresses (u uuid primary key, a inet4, b inet6, key (a), unique (b))",
        (
            "INSERT INTO uuid_addresses VALUES ('00000000-0000-0000-0000-000000000000','0.0.0.0','::'),"
            "('ffffffff-ffff-ffff-ffff-ffffffffffff','255.255.255.255','ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'),"
            "('123e4567-e89b-12d3-a456-426655440000','127.0.0.1','::ffff:192.0.2.128'),"
            "('223e4567-e89b-11d3-a456-426655440000',NULL,NULL),('ffffffff-0000-1000-8000-000000000001','10.0.0.1','fe80::1')"
        ),
        "CREATE TABLE uuid_many (u uuid not null default uuid(), n int, primary key (u))",
        "INSERT INTO uuid_many SELECT CONCAT(LEFT(MD5(seq),12),'4',SUBSTR(MD5(seq),14,3),'8',SUBSTR(MD5(seq),18,15)), seq FROM seq_1_to_500",
    ]


def derived_columns() -> Statements:
    """A table of generated columns only, invisible columns, defaults that are expressions (hazards 41 and 42)."""
    return [
        *PRELUDE,
        "CREATE TABLE derived_generated (a int as (1+1) virtual, b varchar(9) as ('it''s') stored)",
        "INSERT INTO derived_generated () VALUES (),(),()",
        (
            "CREATE TABLE derived_invisible (v int, i int invisible default 5, k int not null invisible auto_increment unique, "
            "n varchar(9) not null invisible default 'x')"
        ),
        "INSERT INTO derived_invisible (v,i,k,n) VALUES (1,NULL,7,'a'),(2,9,8,'b')",
        "INSERT INTO derived_invisible VALUES (3)",
        (
            "CREATE TABLE derived_defaults (id int primary key, u char(36) default (uuid()), d int default (id*2), "
            "t text default ('it''s \\\\ \\n'), e blob default (concat(x'61',char(0))), c varchar(20) default ',)KEY `x` (`y`)' comment 'PRIMARY KEY (`a`), -- ''', "
            "ts timestamp default '2020-03-29 02:30:00' on update current_timestamp, m int as (id % 7) stored, w int as (id+1), key (m), key (w))"
        ),
        "INSERT INTO derived_defaults (id) VALUES (1),(2)",
        "INSERT INTO derived_defaults (id,u,d,t,e,c,ts) VALUES (3,NULL,NULL,NULL,NULL,NULL,'2021-01-01')",
        "CREATE TABLE derived_middle (a int as (c*2) stored, b int, g int as (b+1) virtual, c int, unique (a))",
        "INSERT INTO derived_middle (c,b) VALUES (1,2),(3,NULL)",
    ]


def auto_increments() -> Statements:
    """AUTO_INCREMENT with a row 0, negative rows, a gap at the end, at the type's maximum, second in a MyISAM key (hazard 43)."""
    return [
        *PRELUDE,
        "CREATE TABLE counter_zero (id int auto_increment primary key)",
        "INSERT INTO counter_zero VALUES (0),(-5),(3)",
        "CREATE TABLE counter_gap (id int auto_increment primary key, v int) AUTO_INCREMENT=1000",
        "INSERT INTO counter_gap (v) VALUES (1),(2),(3)",
        "DELETE FROM counter_gap WHERE v>1",
        "CREATE TABLE counter_empty (id bigint auto_increment primary key) AUTO_INCREMENT=77",
        "CREATE TABLE counter_max (id tinyint unsigned auto_increment primary key)",
        "INSERT INTO counter_max VALUES (254),(255)",
        "CREATE TABLE counter_widest (id bigint unsigned auto_increment primary key)",
        "INSERT INTO counter_widest VALUES (18446744073709551614)",
        "CREATE TABLE counter_second (g int, id int auto_increment, key (g,id)) ENGINE=MyISAM",
        "INSERT INTO counter_second (g,id) VALUES (1,1),(1,2),(2,1),(2,9)",
        "CREATE TABLE counter_late (v int, id int auto_increment, key late (id))",
        "INSERT INTO counter_late VALUES (9,5)",
        "CREATE TABLE counter_float (id double auto_increment primary key)",
        "INSERT INTO counter_float VALUES (1),(1.5)",
    ]


def broken_checks() -> Statements:
    """Rows that break the CHECKs of their own table and columns (hazard 44)."""
    return [
        *PRELUDE,
        (
            "CREATE TABLE broken_checks (id int primary key check (id > 0), a int check (a < 10), b int, "
            "constraint `odd, name` check (a + b <> 5), constraint c2 check (b in (1,2,3) or b is null))"
        ),
        "INSERT INTO broken_checks VALUES (-1,99,99),(1,2,3),(2,NULL,NULL),(3,9,1)",
    ]
