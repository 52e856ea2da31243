"""A small shop that has everything a swap must put right, and what happened to it after its backup."""

from typing import Final


# A table large enough to be in the middle of: to hold a program by the bytes of its rows, and no others.
BIG_ROWS: Final = 20_000
BIG_BYTES: Final = BIG_ROWS * 256
BIG: Final = (
    "CREATE DATABASE big",
    "USE big",
    "CREATE TABLE t (id INT PRIMARY KEY, noise TEXT, KEY (noise(20)))",
    f"INSERT INTO t SELECT seq, REPEAT(SHA2(seq, 512), 2) FROM seq_1_to_{BIG_ROWS}",
)

# Foreign keys lead from `beside` into the shop and from the shop into `beside`.
SHOP: Final = (
    "CREATE DATABASE beside CHARACTER SET utf8mb4",
    "CREATE TABLE beside.countries (code CHAR(2) CHARACTER SET ascii PRIMARY KEY)",
    "INSERT INTO beside.countries VALUES ('de'), ('jp')",
    "CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "USE shop",
    "CREATE SEQUENCE numbers START 1000",
    (
        "CREATE TABLE customers (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40),"
        " country CHAR(2) CHARACTER SET ascii,"
        " CONSTRAINT lives FOREIGN KEY (country) REFERENCES beside.countries (code))"
    ),
    (
        "CREATE TABLE orders (number BIGINT PRIMARY KEY DEFAULT nextval(numbers), customer INT,"
        " total DECIMAL(9, 2), CONSTRAINT buys FOREIGN KEY (customer) REFERENCES customers (id))"
    ),
    "CREATE TABLE audit (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(80))",
    (
        "CREATE TABLE plain (id INT PRIMARY KEY, parent INT,"
        " CONSTRAINT tree FOREIGN KEY (parent) REFERENCES plain (id))"
    ),
    (
        "CREATE TRIGGER counted AFTER INSERT ON orders FOR EACH ROW"
        " INSERT INTO audit (what) VALUES (CONCAT('order ', NEW.number))"
    ),
    "CREATE TRIGGER named BEFORE UPDATE ON customers FOR EACH ROW SET NEW.name = TRIM(NEW.name)",
    "CREATE VIEW totals AS SELECT customer, SUM(total) AS sum FROM orders GROUP BY customer",
    "CREATE PROCEDURE greet() SELECT 'good morning'",
    "CREATE FUNCTION vat(net DECIMAL(9, 2)) RETURNS DECIMAL(9, 2) DETERMINISTIC RETURN net * 1.19",
    (
        "CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY STARTS '2038-01-01' ENABLE"
        " DO DELETE FROM audit WHERE id < 0"
    ),
    "INSERT INTO customers (name, country) VALUES ('Ann', 'de'), ('Bob', 'jp')",
    "INSERT INTO orders (customer, total) VALUES (1, 10), (2, 20.5)",
    "INSERT INTO plain VALUES (1, NULL), (2, 1)",
    (
        "CREATE TABLE beside.calls (id INT PRIMARY KEY, customer INT,"
        " CONSTRAINT rings FOREIGN KEY (customer) REFERENCES shop.customers (id) ON DELETE CASCADE)"
    ),
    "INSERT INTO beside.calls VALUES (1, 1), (2, 2)",
)

CHANGES: Final = (
    "USE shop",
    "CREATE EVENT wake ON SCHEDULE EVERY 1 DAY STARTS '2038-01-01' ENABLE DO DELETE FROM wishes",
    # What was made before remembers the collation of then.
    "ALTER DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    "INSERT INTO orders (customer, total) VALUES (2, 99)",
    "UPDATE customers SET name = 'Bert' WHERE id = 2",
    "ALTER TABLE plain ADD COLUMN note VARCHAR(10)",
    (
        "CREATE TABLE wishes (id INT PRIMARY KEY, customer INT,"
        " CONSTRAINT wants FOREIGN KEY (customer) REFERENCES customers (id))"
    ),
    "CREATE TRIGGER wished BEFORE INSERT ON wishes FOR EACH ROW SET NEW.id = NEW.id + 1",
    (
        "CREATE OR REPLACE TRIGGER counted AFTER INSERT ON orders FOR EACH ROW"
        " INSERT INTO audit (what) VALUES ('an order')"
    ),
    "DROP TRIGGER named",
    "CREATE OR REPLACE VIEW totals AS SELECT COUNT(*) AS n FROM orders",
    "CREATE VIEW wishful AS SELECT * FROM wishes",
    "CREATE OR REPLACE PROCEDURE greet() SELECT 'good night'",
    "CREATE PROCEDURE bye() SELECT 'bye'",
    "ALTER EVENT tidy DISABLE",
)
