"""
Data sets beside the shop, each of one kind that backup programs find hard.

Sizes are those of a plain SQL dump; the rows of each table per megabyte were measured with
mariadb-dump. What is not guaranteed: the size is right within a few per cent.
"""

from . import shop
from .dataset import DataSet, Table, hashed, moment, picked, sometimes_null
from .texts import LANGUAGES, article
from .wide import wide_table


DEFAULT_MEGABYTES = 100
_SOURCES = ("nginx", "checkout", "cron", "mailer", "import", "auth", "поиск", "検索")
_MESSAGES = (
    "request served", "connection reset by peer", "retrying in 5 s", "user logged in",
    "cache miss for key ''products:list''", "payment accepted", "timeout\\nwhile reading upstream",
    "password is wrong", "наличие обновлено", "在庫を更新しました",
)  # fmt: skip


def narrow(megabytes: int) -> list[Table]:
    """Describe one huge table of integers: measurements of sensors, in the order of arrival."""
    return [
        Table(
            name="readings",
            rows=31_500 * megabytes,
            definition="""
                id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
                sensor_id SMALLINT UNSIGNED NOT NULL,
                measured_at INT UNSIGNED NOT NULL,
                reading INT NOT NULL""",
            columns="id, sensor_id, measured_at, reading",
            values=f"""seq, 1+{hashed("s")}%800, 1600000000+seq DIV 3,
                CAST({hashed("r")}%200000 AS SIGNED)-50000""",
        )
    ]


def wide(megabytes: int) -> list[Table]:
    """Describe one table of 200 columns of all common types, a quarter of the values NULL."""
    return [wide_table(rows=386 * megabytes)]


def small_tables(megabytes: int) -> list[Table]:
    """Describe 100 tables a megabyte, as of an application with tables for each of its customers."""
    return [_small(number) for number in range(100 * megabytes)]


def text(megabytes: int) -> list[Table]:
    """Describe articles in several scripts, and messages as random as text gets."""
    editions = [article(language, rows=28 * megabytes) for language in LANGUAGES]
    letters = ",".join(f"TO_BASE64(UNHEX(SHA2(CONCAT(seq,'t{n}'),512)))" for n in range(12))
    sealed = Table(
        name="sealed_messages",
        rows=194 * megabytes,
        definition="""
            id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            sent_at DATETIME NOT NULL,
            body TEXT CHARACTER SET ascii NOT NULL""",
        columns="id, sent_at, body",
        values=f"seq, {moment('s')}, CONCAT_WS('\\n',{letters})",
    )
    return [*editions, sealed]


def blob(megabytes: int) -> list[Table]:
    """Describe encrypted files up to 256 KiB, and exported documents that compress well."""
    # The fourth power makes most of them small and some large, as files are.
    pieces = f"1+FLOOR(POW({_outer('l')}/4294967296e0,4)*4096)"
    files = Table(
        name="files",
        rows=12 * megabytes,
        definition="""
            id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            name VARCHAR(100) NOT NULL,
            content LONGBLOB NOT NULL""",
        columns="id, name, content",
        values=f"""seq, CONCAT('scan-',seq,'.bin'),
            (SELECT GROUP_CONCAT(UNHEX(SHA2(CONCAT(n.seq,'-',i.seq),512)) SEPARATOR '')
             FROM seq_1_to_4096 AS i WHERE i.seq<={pieces})""",
    )
    lines = f"1+{_outer('d')}%1200"
    documents = Table(
        name="documents",
        rows=12 * megabytes,
        definition="""
            id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            exported_at DATETIME NOT NULL,
            preview BLOB NULL,
            content MEDIUMBLOB NOT NULL""",
        columns="id, exported_at, preview, content",
        values=f"""seq, {moment("e")},
            {sometimes_null("CONCAT(X'FFD8FFE0',UNHEX(SHA2(seq,512)))", "p")},
            (SELECT GROUP_CONCAT('<row id="',i.seq,'" status="open" total="',
                                 CRC32(CONCAT(n.seq,i.seq))%100000,'"/>\\n' SEPARATOR '')
             FROM seq_1_to_1200 AS i WHERE i.seq<={lines})""",
    )
    return [files, documents]


def no_key(megabytes: int) -> list[Table]:
    """Describe a log without any key; some rows are there twice."""
    return [
        Table(
            name="log_lines",
            rows=10_600 * megabytes,
            definition="""
                logged_at DATETIME NOT NULL,
                level ENUM('debug','info','warning','error') NOT NULL,
                source VARCHAR(40) NOT NULL,
                message VARCHAR(400) NOT NULL,
                request_id BIGINT UNSIGNED NULL,
                seconds DOUBLE NULL""",
            columns="logged_at, level, source, message, request_id, seconds",
            # 1,000 rows that are the same in all columns: health checks, as logs are full of.
            values=f"""IF(seq%500=0,'2024-01-01','2024-01-01'+INTERVAL seq DIV 7 SECOND),
                IF(seq%500=0,2,1+{hashed("l")}%4), IF(seq%500=0,'cron',{picked(_SOURCES, "s")}),
                IF(seq%500=0,'health check',{picked(_MESSAGES, "m")}),
                IF(seq%500=0,NULL,{sometimes_null(f"{hashed('r')}*1000003", "n")}),
                IF(seq%500=0,NULL,{hashed("d")}/1e9)""",
        )
    ]


def string_key(megabytes: int) -> list[Table]:
    """Describe sessions by random token, and pages by address in several scripts."""
    sessions = Table(
        name="sessions",
        rows=4_900 * megabytes,
        definition="""
            token VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
            user_id INT UNSIGNED NULL,
            seen_at DATETIME NOT NULL,
            agent VARCHAR(100) NOT NULL""",
        columns="token, user_id, seen_at, agent",
        values=f"""SHA2(CONCAT('token',seq),256), {sometimes_null(hashed("u"), "n")}, {moment("s")},
            ELT(1+{hashed("a")}%3,'Mozilla/5.0 (X11; Linux x86_64)','curl/8.5.0','Dalvik/2.1.0')""",
    )
    pages = Table(
        name="pages",
        rows=6_800 * megabytes,
        definition="""
            address VARCHAR(190) NOT NULL PRIMARY KEY,
            views BIGINT UNSIGNED NOT NULL,
            changed_on DATE NOT NULL""",
        columns="address, views, changed_on",
        values=f"""CONCAT('/',{picked(("shop", "блог", "新着", "الأخبار", "über-uns"), "a")},'/',
                LEFT(MD5(seq),12),'-',seq), FLOOR(POW({hashed("v")}/65536e0,2)), DATE({moment("c")})""",
    )
    return [sessions, pages]


def composite_key(megabytes: int) -> list[Table]:
    """Describe stock by warehouse, product and batch; there are eight warehouses."""
    rows = 22_500 * megabytes
    return [
        Table(
            name="stock",
            rows=rows,
            definition="""
                warehouse_id TINYINT UNSIGNED NOT NULL,
                product_id INT UNSIGNED NOT NULL,
                batch_no SMALLINT UNSIGNED NOT NULL,
                quantity INT NOT NULL,
                unit_cost DECIMAL(10,4) NOT NULL,
                counted_at DATETIME NULL,
                PRIMARY KEY (warehouse_id, product_id, batch_no)""",
            columns="warehouse_id, product_id, batch_no, quantity, unit_cost, counted_at",
            values=f"""1+(seq-1)*8 DIV {rows}, 1+(seq-1) DIV 5, 1+(seq-1)%5,
                {hashed("q")}%1000, {hashed("c")}%10000000/10000,
                {sometimes_null(moment("t"), "n")}""",
        )
    ]


def _outer(salt: str) -> str:
    return f"CRC32(CONCAT(n.seq,'{salt}'))"


def _small(number: int) -> Table:
    """Describe one of the tables of a customer: settings, notes, tags, invoices or visits."""
    customer, kind = divmod(number, len(_SMALL_KINDS))
    name, definition, columns, values = _SMALL_KINDS[kind]
    # A tenth is empty, most hold up to two hundred rows, and one in forty up to a few thousand.
    most = 25 if number % 40 == 1 else 2
    rows = 40 + number * 7919 % 97 * most if number % 10 else 0
    return Table(f"customer_{customer:05}_{name}", rows, definition, columns, values)


_SMALL_KINDS = (
    (
        "settings",
        "name VARCHAR(60) NOT NULL PRIMARY KEY, value VARCHAR(200) NULL",
        "name, value",
        f"CONCAT('option.',seq), {sometimes_null(hashed('v'), 'n')}",
    ),
    (
        "notes",
        """id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
            author VARCHAR(60) NOT NULL,
            body TEXT NULL,
            KEY author (author)""",
        "id, author, body",
        f"""seq, {picked(("José", "Ольга", "伟", "Anna"), "a")},
            CONCAT_WS('. ',{picked(_MESSAGES, "b")},{picked(_MESSAGES, "c")},MD5(seq))""",
    ),
    (
        "tags",
        "item_id INT NOT NULL, tag VARCHAR(40) NOT NULL, PRIMARY KEY (item_id, tag)",
        "item_id, tag",
        f"seq, {picked(('new', 'sale', 'акция', 'eco'), 't')}",
    ),
    (
        "invoices",
        """id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
            total DECIMAL(12,2) NOT NULL,
            issued_on DATE NOT NULL,
            paid_at DATETIME NULL,
            KEY issued_on (issued_on)""",
        "id, total, issued_on, paid_at",
        f"""seq, {hashed("t")}%1000000/100, DATE({moment("i")}),
            {sometimes_null(moment("p"), "n")}""",
    ),
    (
        "visits",
        "visited_at DATETIME NOT NULL, page VARCHAR(100) NOT NULL, seconds DOUBLE NULL",
        "visited_at, page, seconds",
        f"{moment('v')}, CONCAT('/page/',{hashed('p')}%100), {hashed('s')}/1e8",
    ),
)

DATA_SETS = {
    data_set.name: data_set
    for data_set in (
        DataSet("shop", shop.DEFAULT_MEGABYTES, shop.tables),
        DataSet("narrow", DEFAULT_MEGABYTES, narrow),
        DataSet("wide", DEFAULT_MEGABYTES, wide),
        DataSet("tables", DEFAULT_MEGABYTES, small_tables),
        DataSet("text", DEFAULT_MEGABYTES, text),
        DataSet("blob", DEFAULT_MEGABYTES, blob),
        DataSet("nokey", DEFAULT_MEGABYTES, no_key),
        DataSet("string_key", DEFAULT_MEGABYTES, string_key),
        DataSet("composite_key", DEFAULT_MEGABYTES, composite_key),
    )
}
