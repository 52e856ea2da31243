"""
A small shop that looks real: what the demo backs up, damages and gets back.

The server makes the rows itself from a recursive sequence, so any MySQL or MariaDB can hold it and
two shops are equal. Names are of many scripts, descriptions have quotes, backslashes and line
breaks, pictures are arbitrary bytes.
"""

from collections.abc import Iterator
from typing import Final


TABLES: Final = ("order_items", "orders", "products", "users")

_USERS: Final = 4_000
_PRODUCTS: Final = 600
_ORDERS: Final = 12_000
_ITEMS: Final = 36_000

_FIRST_NAMES: Final = (
    "Anna", "José", "Zoë", "Søren", "Łukasz", "Ольга", "Γιώργος", "محمد", "伟", "さくら", "지민",
    "अमित", "Nguyễn", "Fatima", "Noah", "Renée",
)  # fmt: skip
_LAST_NAMES: Final = (
    "Smith", "O''Brien", "Müller", "García", "Kowalska", "Петров", "Παπαδόπουλος", "عبدالله", "王",
    "田中", "김", "शर्मा", "d''Angelo", "Trần", "Okafor",
)  # fmt: skip
_THINGS: Final = (
    "Teapot 🫖", "Rain coat", "Lampe d''été", "Чайник", "折り紙", "Espresso set ☕", "Wool socks 🧦",
    'Notebook "A5"', "Kite 🪁", "Mystery box", "Garden hose", "Bücherregal",
)  # fmt: skip
_PHRASES: Final = (
    "Made by hand", "It''s a classic", 'Size guide: "M" fits most', "Line one\\nline two",
    "Path C:\\\\shop\\\\img", "Ручная работа", "品質保証つき", "Two year warranty", "👍🏽 recommended",
)  # fmt: skip
_NOTES: Final = ("please ring twice", "gift 🎁", "доставить вечером", "don''t bend")

_USERS_SQL: Final = """
CREATE TABLE users (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  email VARCHAR(120) NOT NULL,
  full_name VARCHAR(120) NOT NULL,
  password_hash BINARY(32) NOT NULL,
  balance DECIMAL(12,2) NOT NULL DEFAULT 0,
  birth_date DATE NULL,
  created_at DATETIME(6) NOT NULL,
  UNIQUE KEY email (email)
) DEFAULT CHARSET=utf8mb4"""
_PRODUCTS_SQL: Final = """
CREATE TABLE products (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  sku VARCHAR(32) CHARACTER SET ascii NOT NULL,
  title VARCHAR(200) NOT NULL,
  description TEXT NOT NULL,
  price DECIMAL(10,2) NOT NULL,
  weight_kg DOUBLE NULL,
  rating FLOAT NULL,
  colors SET('red','green','blue','gold') NOT NULL DEFAULT '',
  picture BLOB NULL,
  price_with_tax DECIMAL(12,2) GENERATED ALWAYS AS (price * 1.19) STORED,
  UNIQUE KEY sku (sku)
) DEFAULT CHARSET=utf8mb4"""
_ORDERS_SQL: Final = """
CREATE TABLE orders (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  user_id INT UNSIGNED NOT NULL,
  status ENUM('new','paid','shipped','returned') NOT NULL DEFAULT 'new',
  placed_at TIMESTAMP NULL DEFAULT NULL,
  note VARCHAR(200) NULL,
  KEY placed (placed_at),
  CONSTRAINT order_user FOREIGN KEY (user_id) REFERENCES users (id)
) DEFAULT CHARSET=utf8mb4"""
_ITEMS_SQL: Final = """
CREATE TABLE order_items (
  order_id INT UNSIGNED NOT NULL,
  line SMALLINT UNSIGNED NOT NULL,
  product_id INT UNSIGNED NOT NULL,
  quantity SMALLINT UNSIGNED NOT NULL,
  unit_price DECIMAL(10,2) NOT NULL,
  PRIMARY KEY (order_id, line),
  CONSTRAINT item_order FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE,
  CONSTRAINT item_product FOREIGN KEY (product_id) REFERENCES products (id)
) DEFAULT CHARSET=utf8mb4"""
_VIEW_SQL: Final = """
CREATE VIEW best_sellers AS
SELECT p.id, p.title, SUM(i.quantity) AS sold FROM products p
JOIN order_items i ON i.product_id = p.id GROUP BY p.id, p.title"""
_TRIGGER_SQL: Final = """
CREATE TRIGGER order_paid BEFORE UPDATE ON orders FOR EACH ROW
BEGIN
  IF NEW.status = 'paid' AND OLD.status = 'new' THEN
    SET NEW.note = CONCAT_WS('; ', OLD.note, 'paid ✓');
  END IF;
END"""
_PROCEDURE_SQL: Final = """
CREATE PROCEDURE order_total(IN wanted INT UNSIGNED)
SELECT SUM(quantity * unit_price) AS total FROM order_items WHERE order_id = wanted"""
_EVENT_SQL: Final = """
CREATE EVENT forget_old_notes ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 03:00:00'
DO UPDATE orders SET note = NULL WHERE placed_at < NOW() - INTERVAL 5 YEAR"""


def statements(database: str) -> Iterator[str]:
    """
    Make the shop.

    Args:
        database: Plain name; must not exist.

    Yields:
        Statements to run in order on one connection with an empty sql_mode.
    """
    yield f"CREATE DATABASE {database} CHARACTER SET utf8mb4"
    yield f"USE {database}"
    yield from (_USERS_SQL, _PRODUCTS_SQL, _ORDERS_SQL, _ITEMS_SQL)
    yield _fill("users", "email, full_name, password_hash, balance, birth_date, created_at", _USERS,
        f"CONCAT('user', n, '@example.com'), CONCAT({_pick(_FIRST_NAMES, 'f')}, ' ',"
        f" {_pick(_LAST_NAMES, 'l')}), UNHEX(SHA2(CONCAT('pw', n), 256)),"
        f" CAST({_hash('b')} % 1000000 AS SIGNED) / 100 - 1000,"
        f" IF({_hash('d')} % 5 = 0, NULL, '1950-01-01' + INTERVAL {_hash('d')} % 20000 DAY),"
        f" '2020-01-01' + INTERVAL {_hash('c')} % 150000000 SECOND + INTERVAL n MICROSECOND")  # fmt: skip
    yield _fill("products", "sku, title, description, price, weight_kg, rating, colors, picture",
        _PRODUCTS,
        f"CONCAT('SKU-', LPAD(n, 6, '0')), CONCAT({_pick(_THINGS, 't')}, ' ', n),"
        f" CONCAT_WS('. ', {_pick(_PHRASES, 'x')}, {_pick(_PHRASES, 'y')}, {_pick(_PHRASES, 'z')}),"
        f" 1 + {_hash('p')} % 50000 / 100, {_hash('w')} / 143165576.5e0, n / 7e0,"
        f" {_hash('s')} % 16, IF({_hash('i')} % 6 = 0, NULL,"
        f" CONCAT(X'89504E470D0A1A0A00', UNHEX(REPEAT(SHA2(n, 512), 20))))")  # fmt: skip
    yield _fill("orders", "user_id, status, placed_at, note", _ORDERS,
        f"1 + {_hash('u')} % {_USERS}, 1 + {_hash('s')} % 4,"
        f" '2023-01-01 00:00:00' + INTERVAL n * 7211 SECOND,"
        f" IF({_hash('n')} % 6 = 0, {_pick(_NOTES, 'm')}, NULL)")  # fmt: skip
    yield _fill("order_items", "order_id, line, product_id, quantity, unit_price", _ITEMS,
        f"1 + (n - 1) % {_ORDERS}, 1 + (n - 1) DIV {_ORDERS}, 1 + {_hash('p')} % {_PRODUCTS},"
        f" 1 + {_hash('q')} % 5, 1 + {_hash('u')} % 50000 / 100")  # fmt: skip
    yield from (_VIEW_SQL, _TRIGGER_SQL, _PROCEDURE_SQL, _EVENT_SQL)


def damage() -> tuple[str, ...]:
    """Return the accidents that people restore for; the shop's database is selected."""
    return ("UPDATE products SET price = 0", "DROP TABLE order_items")


def _fill(table: str, columns: str, rows: int, values: str) -> str:
    digits = (
        "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4"
    )
    digits += " UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8"
    digits += " UNION ALL SELECT 9)"
    number = "1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d"
    source = f"{digits} a, {digits} b, {digits} c, {digits} e, {digits} f"
    numbers = f"(SELECT {number} AS n FROM {source} HAVING n <= {rows} ORDER BY n)"
    return f"INSERT INTO {table} ({columns}) SELECT {values} FROM {numbers} numbers ORDER BY n"


def _hash(salt: str) -> str:
    return f"CRC32(CONCAT(n, '{salt}'))"


def _pick(options: tuple[str, ...], salt: str) -> str:
    quoted = ", ".join(f"'{option}'" for option in options)
    # CRC32 of two salts differs by a constant, which would tie the words to each other.
    return f"ELT(1 + CONV(LEFT(MD5(CONCAT(n, '{salt}')), 8), 16, 10) % {len(options)}, {quoted})"
