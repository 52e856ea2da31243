"""
Databases of applications that half the world runs, small, with what is peculiar about each.

Written for these tests after the applications' published schemas: names, types, collations, engines and
the way the application uses them; the rows are made up. Both vendors take all of it.
"""

from typing import Final

from tests.corpora.session import PRELUDE, Statements, text


# PHP's serialized arrays hold the lengths of their strings in bytes: one byte lost breaks the option.
_SERIALIZED: Final = 'a:2:{s:5:"title";s:14:"Café — 漢字";s:4:"note";s:7:"it\'s \\ 😀";}'
# What a page cache holds: compressed, with every byte there is.
_COMPRESSED: Final = bytes(range(256)).hex() * 4


def wordpress() -> Statements:
    """
    Make a blog with a shop in it.

    Zero dates as defaults, keys on 191 characters, a collation that the database has not, serialized
    PHP, tables of a plugin in latin1 and MyISAM, one without any key, and a FULLTEXT index.
    """
    charset = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci"
    return [
        *PRELUDE,
        (
            "CREATE TABLE wp_posts (ID bigint unsigned NOT NULL AUTO_INCREMENT,"
            " post_author bigint unsigned NOT NULL DEFAULT '0',"
            " post_date datetime NOT NULL DEFAULT '0000-00-00 00:00:00',"
            " post_date_gmt datetime NOT NULL DEFAULT '0000-00-00 00:00:00',"
            " post_content longtext NOT NULL, post_title text NOT NULL,"
            " post_status varchar(20) NOT NULL DEFAULT 'publish',"
            " post_name varchar(200) NOT NULL DEFAULT '',"
            " post_parent bigint unsigned NOT NULL DEFAULT '0',"
            " guid varchar(255) NOT NULL DEFAULT '', menu_order int NOT NULL DEFAULT '0',"
            " post_type varchar(20) NOT NULL DEFAULT 'post',"
            " PRIMARY KEY (ID), KEY post_name (post_name(191)),"
            " KEY type_status_date (post_type,post_status,post_date,ID),"
            " KEY post_parent (post_parent), FULLTEXT KEY crp_related (post_title,post_content)"
            f") {charset} AUTO_INCREMENT=1042"
        ),
        (
            "CREATE TABLE wp_postmeta (meta_id bigint unsigned NOT NULL AUTO_INCREMENT,"
            " post_id bigint unsigned NOT NULL DEFAULT '0', meta_key varchar(255) DEFAULT NULL,"
            " meta_value longtext, PRIMARY KEY (meta_id), KEY post_id (post_id),"
            f" KEY meta_key (meta_key(191))) {charset}"
        ),
        (
            "CREATE TABLE wp_options (option_id bigint unsigned NOT NULL AUTO_INCREMENT,"
            " option_name varchar(191) NOT NULL DEFAULT '', option_value longtext NOT NULL,"
            " autoload varchar(20) NOT NULL DEFAULT 'yes', PRIMARY KEY (option_id),"
            f" UNIQUE KEY option_name (option_name), KEY autoload (autoload)) {charset}"
        ),
        (
            "CREATE TABLE wp_term_relationships (object_id bigint unsigned NOT NULL DEFAULT 0,"
            " term_taxonomy_id bigint unsigned NOT NULL DEFAULT 0, term_order int NOT NULL DEFAULT 0,"
            " PRIMARY KEY (object_id,term_taxonomy_id), KEY term_taxonomy_id (term_taxonomy_id)"
            f") {charset}"
        ),
        (
            "CREATE TABLE wp_wc_order_stats (order_id bigint unsigned NOT NULL,"
            " date_created datetime NOT NULL DEFAULT '0000-00-00 00:00:00',"
            " total_sales double NOT NULL DEFAULT 0, tax_total decimal(26,8) NOT NULL DEFAULT 0,"
            " returning_customer tinyint(1) DEFAULT NULL, status varchar(200) NOT NULL,"
            f" PRIMARY KEY (order_id), KEY date_created (date_created), KEY status (status(191))) {charset}"
        ),
        (
            "CREATE TABLE wp_statistics_visits (ip varchar(39) NOT NULL, seen datetime NOT NULL,"
            " agent varchar(255) NOT NULL) ENGINE=MyISAM DEFAULT CHARSET=latin1"
        ),
        (
            "INSERT INTO wp_posts (ID, post_author, post_content, post_title, post_name, guid) VALUES"
            f" (1, 1, {text('<!-- wp:paragraph --><p>Grüße, κόσμε 😀</p>')}, 'Hello world!',"
            " 'hello-world', 'https://example.com/?p=1'),"
            f" (7, 0, {text('x' * 3000 + chr(10) + chr(0) + chr(13) + chr(26))},"
            f" {text(chr(0x1F600) * 4)}, '%e6%bc%a2', '')"
        ),
        (
            "INSERT INTO wp_postmeta (post_id, meta_key, meta_value) VALUES"
            f" (1, '_wp_attachment_metadata', {text(_SERIALIZED)}), (1, NULL, NULL), (7, '_edit_lock', '')"
        ),
        (
            "INSERT INTO wp_options (option_name, option_value, autoload) VALUES"
            f" ('cron', {text(_SERIALIZED)}, 'yes'), ('Straße', 'a', 'no'), ('_transient_x', '', 'auto')"
        ),
        "INSERT INTO wp_term_relationships VALUES (1,1,0), (7,1,-1), (7,2,0)",
        (
            "INSERT INTO wp_wc_order_stats VALUES"
            " (11, '2026-03-29 02:30:00', 0.1, 0.00000001, NULL, 'wc-completed'),"
            " (12, '0000-00-00 00:00:00', 1e308, -19.99, 1, 'wc-refunded')"
        ),
        (
            "INSERT INTO wp_statistics_visits VALUES ('::1', '2026-01-01 00:00:00', _latin1 X'e9ff'),"
            " ('::1', '2026-01-01 00:00:00', _latin1 X'e9ff'), ('10.0.0.1', '2026-01-02 00:00:00', '')"
        ),
    ]


def magento() -> Statements:
    """
    Make the catalogue of a large shop.

    Values of products in a table for each type, foreign keys that cascade, triggers that write change
    logs, tables in memory, a sequence for each store, a view that its reader's rights decide, and a
    comment on everything.
    """
    tables = []
    for kind, column in (
        ("decimal", "decimal(20,6) DEFAULT NULL"),
        ("datetime", "datetime DEFAULT NULL"),
        ("text", "mediumtext DEFAULT NULL"),
        ("varchar", "varchar(255) DEFAULT NULL"),
    ):
        name = f"catalog_product_entity_{kind}"
        tables.append(
            f"CREATE TABLE {name} (value_id int NOT NULL AUTO_INCREMENT COMMENT 'Value ID',"
            " attribute_id smallint unsigned NOT NULL DEFAULT 0 COMMENT 'Attribute ID',"
            " store_id smallint unsigned NOT NULL DEFAULT 0 COMMENT 'Store ID',"
            " entity_id int unsigned NOT NULL DEFAULT 0 COMMENT 'Entity ID',"
            f" value {column} COMMENT 'Value', PRIMARY KEY (value_id),"
            f" UNIQUE KEY {name.upper()}_ENTITY_ID_ATTRIBUTE_ID (entity_id,attribute_id,store_id),"
            f" KEY {name.upper()}_ATTRIBUTE_ID (attribute_id),"
            f" CONSTRAINT {name}_fk FOREIGN KEY (entity_id)"
            " REFERENCES catalog_product_entity (entity_id) ON DELETE CASCADE"
            f") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Catalog Product {kind} Backend Table'"
        )
    return [
        *PRELUDE,
        (
            "CREATE TABLE catalog_product_entity ("
            "entity_id int unsigned NOT NULL AUTO_INCREMENT COMMENT 'Entity ID',"
            " type_id varchar(32) NOT NULL DEFAULT 'simple' COMMENT 'Type ID',"
            " sku varchar(64) NOT NULL COMMENT 'SKU: it''s \"quoted\", ; and `ticked` \\\\ -- so',"
            " created_at timestamp NOT NULL DEFAULT current_timestamp() COMMENT 'Creation Time',"
            " updated_at timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp()"
            " COMMENT 'Update Time', PRIMARY KEY (entity_id), KEY SKU (sku)"
            ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='Catalog Product Table'"
        ),
        *tables,
        (
            "CREATE TABLE catalog_product_price_cl ("
            "version_id bigint unsigned NOT NULL AUTO_INCREMENT COMMENT 'Version ID',"
            " entity_id int unsigned NOT NULL DEFAULT 0 COMMENT 'Entity ID',"
            " PRIMARY KEY (version_id), KEY entity (entity_id)) ENGINE=InnoDB AUTO_INCREMENT=90071"
        ),
        (
            "CREATE TABLE catalog_product_index_price_tmp (entity_id int unsigned NOT NULL,"
            " price decimal(20,6) DEFAULT NULL, PRIMARY KEY (entity_id) USING HASH"
            ") ENGINE=MEMORY COMMENT='Indexer, empty after each start of the server'"
        ),
        (
            "CREATE TABLE sequence_order_1 (sequence_value int unsigned NOT NULL AUTO_INCREMENT,"
            " PRIMARY KEY (sequence_value)) ENGINE=InnoDB AUTO_INCREMENT=100000124"
        ),
        (
            "CREATE TABLE quote_item (item_id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,"
            " parent_item_id int unsigned DEFAULT NULL, product_id int unsigned DEFAULT NULL,"
            " qty decimal(12,4) NOT NULL DEFAULT 0, additional_data text, KEY (parent_item_id),"
            " KEY (product_id), CONSTRAINT QUOTE_ITEM_PARENT FOREIGN KEY (parent_item_id)"
            " REFERENCES quote_item (item_id) ON DELETE CASCADE,"
            " CONSTRAINT QUOTE_ITEM_PRODUCT FOREIGN KEY (product_id)"
            " REFERENCES catalog_product_entity (entity_id) ON DELETE SET NULL)"
        ),
        (
            "INSERT INTO catalog_product_entity (entity_id, sku, created_at, updated_at) VALUES"
            f" (1, '24-MB01', '2026-01-01 00:00:00', '2026-01-01 00:00:00'), (2, {text('Größe-Ü')},"
            " '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
        ),
        "INSERT INTO catalog_product_entity_decimal VALUES (1,77,0,1,34.000000), (2,77,1,1,NULL)",
        "INSERT INTO catalog_product_entity_datetime VALUES (1,79,0,2,'2026-12-31 23:59:59')",
        f"INSERT INTO catalog_product_entity_text VALUES (1,75,0,1,{text('<p>Ünïcode</p>' * 200)})",
        "INSERT INTO catalog_product_entity_varchar VALUES (1,73,0,1,'Joust Duffle Bag')",
        "INSERT INTO catalog_product_index_price_tmp VALUES (1,34), (2,NULL)",
        "INSERT INTO quote_item VALUES (1,NULL,1,1,NULL), (2,1,2,0.5,'{\"a\": 1}'), (3,2,NULL,0,'')",
        (
            "CREATE TRIGGER trg_catalog_product_entity_decimal_after_update"
            " AFTER UPDATE ON catalog_product_entity_decimal FOR EACH ROW BEGIN"
            " IF (NOT (NEW.`value` <=> OLD.`value`)) THEN INSERT IGNORE INTO"
            " `catalog_product_price_cl` (`entity_id`) VALUES (NEW.`entity_id`); END IF; END"
        ),
        (
            "CREATE TRIGGER trg_catalog_product_entity_after_delete"
            " AFTER DELETE ON catalog_product_entity FOR EACH ROW"
            " INSERT IGNORE INTO `catalog_product_price_cl` (`entity_id`) VALUES (OLD.`entity_id`)"
        ),
        "UPDATE catalog_product_entity_decimal SET value = 35 WHERE value_id = 1",
        (
            "CREATE SQL SECURITY INVOKER VIEW inventory_stock_1 AS SELECT DISTINCT"
            " p.entity_id AS product_id, p.sku AS sku, coalesce(d.value, 0) > 0 AS is_salable"
            " FROM catalog_product_entity p LEFT JOIN catalog_product_entity_decimal d"
            " ON d.entity_id = p.entity_id AND d.store_id = 0"
        ),
    ]


def mediawiki() -> Statements:
    """
    Make a wiki.

    Everything is binary, texts and times too; keys on prefixes of BLOBs, random DOUBLEs, a cache of
    compressed pages, and a table for searching in MyISAM whose text is not that of the pages.
    """
    binary = "ENGINE=InnoDB DEFAULT CHARSET=binary"
    return [
        *PRELUDE,
        (
            "CREATE TABLE mw_page (page_id int unsigned NOT NULL AUTO_INCREMENT,"
            " page_namespace int NOT NULL, page_title varbinary(255) NOT NULL,"
            " page_is_redirect tinyint unsigned NOT NULL DEFAULT 0, page_random double unsigned NOT NULL,"
            " page_touched binary(14) NOT NULL, page_latest int unsigned NOT NULL,"
            " page_lang varbinary(35) DEFAULT NULL, PRIMARY KEY (page_id),"
            " UNIQUE KEY page_name_title (page_namespace,page_title), KEY page_random (page_random)"
            f") {binary}"
        ),
        (
            "CREATE TABLE mw_text (old_id bigint unsigned NOT NULL AUTO_INCREMENT,"
            " old_text mediumblob NOT NULL, old_flags tinyblob NOT NULL, PRIMARY KEY (old_id)"
            f") {binary} MAX_ROWS=10000000 AVG_ROW_LENGTH=10240"
        ),
        (
            "CREATE TABLE mw_image (img_name varbinary(255) NOT NULL DEFAULT '',"
            " img_size bigint unsigned NOT NULL DEFAULT 0, img_metadata mediumblob NOT NULL,"
            " img_media_type enum('UNKNOWN','BITMAP','DRAWING','AUDIO','VIDEO','3D') DEFAULT NULL,"
            " img_sha1 varbinary(32) NOT NULL DEFAULT '', PRIMARY KEY (img_name),"
            f" KEY img_sha1 (img_sha1(10))) {binary}"
        ),
        (
            "CREATE TABLE mw_externallinks (el_id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,"
            " el_from int unsigned NOT NULL DEFAULT 0, el_to blob NOT NULL, el_index blob NOT NULL,"
            " KEY el_from (el_from,el_to(40)), KEY el_to (el_to(60),el_from), KEY el_index (el_index(60))"
            f") {binary}"
        ),
        (
            "CREATE TABLE mw_objectcache (keyname varbinary(255) NOT NULL DEFAULT '', value mediumblob,"
            " exptime binary(14) NOT NULL, PRIMARY KEY (keyname), KEY exptime (exptime)"
            f") {binary}"
        ),
        (
            "CREATE TABLE mw_searchindex (si_page int unsigned NOT NULL, si_title varchar(255) NOT NULL"
            " DEFAULT '', si_text mediumtext NOT NULL, UNIQUE KEY si_page (si_page),"
            " FULLTEXT KEY si_title (si_title), FULLTEXT KEY si_text (si_text)"
            ") ENGINE=MyISAM DEFAULT CHARSET=utf8mb3"
        ),
        (
            "INSERT INTO mw_page VALUES"
            " (1,0,'Main_Page',0,0.123456789012345,'20261128093518',3,NULL),"
            f" (2,-1,X'{'Ünïcode_😀'.encode().hex()}',1,4.9e-324,'00000000000000',4,'de'),"
            " (3,0,X'ff00fe',0,0.1,X'0000000000000000000000000000',5,'')"
        ),
        (
            "INSERT INTO mw_text (old_text, old_flags) VALUES"
            f" (X'{_COMPRESSED}', 'gzip,utf-8'), ('', ''), (X'{'== Café =='.encode().hex()}', 'utf-8')"
        ),
        (
            "INSERT INTO mw_image VALUES ('A.png', 18446744073709551615, X'00', 'BITMAP', 'x'),"
            f" ('a.png', 0, X'{_COMPRESSED}', NULL, ''), ('B.stl', 1, '', '3D', REPEAT('z', 32))"
        ),
        (
            "INSERT INTO mw_externallinks (el_from, el_to, el_index) VALUES"
            " (1, REPEAT('https://example.org/', 100), 'org.example'), (1, '', ''), (2, 'ftp:', X'00')"
        ),
        (
            f"INSERT INTO mw_objectcache VALUES ('my_wiki:page:1', X'{_COMPRESSED}', '20270101000000'),"
            " ('MY_WIKI:page:1', NULL, '99991231235959')"
        ),
        (
            "INSERT INTO mw_searchindex VALUES (1,'main page',' main page u8c3bcnicode '),"
            " (2,'','stop words the and of')"
        ),
    ]


def zabbix() -> Statements:
    """
    Make the database of a monitoring system.

    A binary collation, identities that the application gives, foreign keys by number, histories in
    partitions of days without a primary key, triggers that write a changelog, and the routines and the
    event that make and drop those partitions.
    """
    days = ", ".join(
        f"PARTITION p2026_11_{day} VALUES LESS THAN ({clock})"
        for day, clock in ((27, 1795824000), (28, 1795910400), (29, 1795996800))
    )
    charset = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
    return [
        *PRELUDE,
        (
            "CREATE TABLE hosts (hostid bigint unsigned NOT NULL, proxyid bigint unsigned NULL,"
            " host varchar(128) DEFAULT '' NOT NULL, description text NOT NULL,"
            " status integer DEFAULT '0' NOT NULL, name_upper varchar(128) DEFAULT '' NOT NULL,"
            f" PRIMARY KEY (hostid), KEY hosts_1 (host), KEY hosts_3 (proxyid)) {charset}"
        ),
        (
            "CREATE TABLE items (itemid bigint unsigned NOT NULL, hostid bigint unsigned NOT NULL,"
            " key_ varchar(2048) DEFAULT '' NOT NULL, delay varchar(1024) DEFAULT '0' NOT NULL,"
            " templateid bigint unsigned NULL, params text NOT NULL, PRIMARY KEY (itemid),"
            " KEY items_1 (hostid,key_(764)), KEY items_2 (templateid),"
            " CONSTRAINT c_items_1 FOREIGN KEY (hostid) REFERENCES hosts (hostid) ON DELETE CASCADE,"
            " CONSTRAINT c_items_2 FOREIGN KEY (templateid) REFERENCES items (itemid) ON DELETE CASCADE"
            f") {charset}"
        ),
        (
            "CREATE TABLE history (itemid bigint unsigned NOT NULL, clock integer DEFAULT '0' NOT NULL,"
            " value DOUBLE PRECISION DEFAULT '0.0000' NOT NULL, ns integer DEFAULT '0' NOT NULL,"
            f" KEY history_1 (itemid,clock)) {charset} PARTITION BY RANGE (clock) ({days})"
        ),
        (
            "CREATE TABLE history_log (itemid bigint unsigned NOT NULL,"
            " clock integer DEFAULT '0' NOT NULL, ns integer DEFAULT '0' NOT NULL, value longtext NOT NULL,"
            f" PRIMARY KEY (itemid,clock,ns)) {charset} PARTITION BY RANGE (clock) ({days},"
            " PARTITION pmax VALUES LESS THAN MAXVALUE)"
        ),
        (
            "CREATE TABLE changelog (changelogid bigint unsigned NOT NULL AUTO_INCREMENT,"
            " object integer DEFAULT '0' NOT NULL, objectid bigint unsigned NOT NULL,"
            " operation integer DEFAULT '0' NOT NULL, clock integer DEFAULT '0' NOT NULL,"
            f" PRIMARY KEY (changelogid), KEY changelog_1 (clock)) {charset}"
        ),
        (
            "CREATE TABLE auditlog (auditid varchar(25) NOT NULL, userid bigint unsigned NULL,"
            " clock integer DEFAULT '0' NOT NULL, ip varchar(39) DEFAULT '' NOT NULL,"
            f" details longtext NOT NULL, PRIMARY KEY (auditid), KEY auditlog_1 (userid,clock)) {charset}"
        ),
        "CREATE TABLE dbversion (mandatory integer DEFAULT '0' NOT NULL, optional integer DEFAULT '0')",
        (
            "CREATE FUNCTION partition_name(p_clock INT) RETURNS VARCHAR(16) DETERMINISTIC NO SQL"
            " RETURN CONCAT('p', REPLACE(DATE(FROM_UNIXTIME(p_clock)), '-', '_'))"
        ),
        (
            "CREATE PROCEDURE partition_create(p_table VARCHAR(64), p_name VARCHAR(64), p_clock INT)"
            " MODIFIES SQL DATA COMMENT 'adds a day; it''s called nightly'\nBEGIN\n"
            "  DECLARE rows_there INT;\n"
            "  SELECT COUNT(1) INTO rows_there FROM information_schema.partitions\n"
            "   WHERE table_schema = DATABASE() AND table_name = p_table AND partition_name = p_name;\n"
            "  IF rows_there = 0 THEN -- a comment; with a semicolon\n"
            "    SET @sql = CONCAT('ALTER TABLE `', p_table, '` ADD PARTITION (PARTITION ', p_name,\n"
            "      ' VALUES LESS THAN (', p_clock, '))');\n"
            "    PREPARE stmt FROM @sql; EXECUTE stmt; DEALLOCATE PREPARE stmt;\n"
            "  END IF;\nEND"
        ),
        (
            "CREATE EVENT partition_maintenance ON SCHEDULE EVERY 1 DAY STARTS '2038-01-01 01:00:00'"
            " ON COMPLETION PRESERVE DISABLE COMMENT 'nightly'"
            " DO CALL partition_create('history', 'p2038_01_01', 2145916800)"
        ),
        (
            "CREATE TRIGGER hosts_insert AFTER INSERT ON hosts FOR EACH ROW"
            " INSERT INTO changelog (object,objectid,operation,clock) VALUES (1,NEW.hostid,1,1795910400)"
        ),
        (
            "CREATE TRIGGER hosts_name_upper_insert BEFORE INSERT ON hosts FOR EACH ROW"
            " SET NEW.name_upper = UPPER(NEW.host)"
        ),
        (
            "CREATE TRIGGER hosts_update AFTER UPDATE ON hosts FOR EACH ROW"
            " INSERT INTO changelog (object,objectid,operation,clock) VALUES (1,OLD.hostid,2,1795910400)"
        ),
        (
            "INSERT INTO hosts (hostid, host, description) VALUES (10084, 'Zabbix server', ''),"
            f" (10085, 'zabbix server', {text('Überwachung')}), (18446744073709551615, 'last', '')"
        ),
        "UPDATE hosts SET status = 1 WHERE hostid = 10085",
        (
            "INSERT INTO items VALUES (1, 10084, 'system.cpu.util[,user]', '1m;wd1-5h9-18', NULL, ''),"
            " (2, 10085, 'vfs.fs.size[\"/\",pfree]', '0', 1, 'return 1 / 0; // \\\\n')"
        ),
        (
            "INSERT INTO history VALUES (1,1795823999,0.1,1), (1,1795910399,-1.7e308,999999999),"
            " (1,1795910399,-1.7e308,999999999), (2,1795910400,5e-324,0)"
        ),
        (
            "INSERT INTO history_log VALUES (1,1795824000,0,''), (1,2147483647,1,"
            f"{text('line one' + chr(10) + 'line two' + chr(9) + '😀')})"
        ),
        (
            "INSERT INTO auditlog VALUES ('cl0000000000000000000000A', 1, 0, '::1', '{}'),"
            " ('cl0000000000000000000000a', NULL, 0, '', '{\"a\":[\"add\",\"x\"]}')"
        ),
        "INSERT INTO dbversion VALUES (7000000, 7000003)",
    ]


APPLICATIONS: Final = (wordpress, magento, mediawiki, zabbix)
