"""
A generated shop: the data set of every published speed claim.

400 MB take seconds. Most bytes are narrow rows (order items, orders); the rest is text, JSON, blobs
and names.

What is not guaranteed: the number of bytes is that of a plain SQL dump within a few per cent, and
the distribution of values is plausible, not taken from a real shop.
"""

from dataclasses import dataclass

from .dataset import Table, hashed, moment, picked


DEFAULT_MEGABYTES = 400
# Rows per megabyte of raw SQL, from mariadb-dump of a shop: 37 bytes an item, 91 an order, 219 a
# user, 1,670 a product; together 64 bytes a row and 6.3 M rows in 400 MB.
ITEMS_PER_MEGABYTE = 12_000
ORDERS_PER_MEGABYTE = 3_000
USERS_PER_MEGABYTE = 550
PRODUCTS_PER_MEGABYTE = 100

_FIRST_NAMES = (
    "Anna", "José", "Zoë", "Michael", "Søren", "Łukasz", "Иван", "Ольга", "Γιώργος", "محمد",
    "伟", "さくら", "지민", "अमित", "Nguyễn", "Fatima",
)  # fmt: skip
_LAST_NAMES = (
    "Smith", "O''Brien", "Müller", "García", "Kowalska", "Петров", "Παπαδόπουλος", "عبدالله",
    "王", "田中", "김", "शर्मा", "d''Angelo", "Ødegård", "Trần", "Okafor",
)  # fmt: skip
_PHRASES = (
    "made of brushed aluminium", "with a soft cotton lining", "easy to clean", "it''s a classic",
    "for indoor and outdoor use", "machine washable at 40°", "délicieusement simple",
    "two year warranty", "ships in recycled paper", "ручная работа", "品質保証つき", "☀ summer line",
    'size guide: "M" fits most', "path C:\\\\shop\\\\img", "limited edition of 500 pieces",
    "line one\\nline two", "works with every standard adapter", "tested by our own staff",
    "see also the matching set", "not suitable for children under three",
)  # fmt: skip
_NOTES = (
    "please ring twice", "leave with the neighbour", "gift: don''t include the invoice",
    "доставить вечером", "call before delivery", "fragile",
)  # fmt: skip
_PHRASES_PER_DESCRIPTION = 40


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of each table of a shop."""

    categories: int
    users: int
    products: int
    orders: int
    items: int

    @classmethod
    def of_megabytes(cls, megabytes: int) -> "Counts":
        """
        Scale the shop linearly to a size.

        Args:
            megabytes: Raw SQL of a plain dump, in 10^6 bytes; 1 to 100,000.

        Returns:
            Counts of at least 40 categories and 100 products.

        Raises:
            ValueError: The size is below 1.
        """
        if megabytes < 1:
            raise ValueError("a shop has at least one megabyte")
        return cls(
            categories=40,
            users=USERS_PER_MEGABYTE * megabytes,
            products=PRODUCTS_PER_MEGABYTE * megabytes,
            orders=ORDERS_PER_MEGABYTE * megabytes,
            items=ITEMS_PER_MEGABYTE * megabytes,
        )


def tables(megabytes: int) -> list[Table]:
    """Describe a shop of so many megabytes of plain SQL, parents before children."""
    counts = Counts.of_megabytes(megabytes)
    return [_categories(counts), _users(counts), _products(counts), _orders(counts), _items(counts)]


def _categories(counts: Counts) -> Table:
    return Table(
        name="categories",
        rows=counts.categories,
        definition="""
            id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            parent_id SMALLINT UNSIGNED NULL,
            name VARCHAR(80) NOT NULL""",
        columns="id, parent_id, name",
        values=f"seq, IF(seq<9,NULL,1+seq%8), CONCAT({picked(_PHRASES, 'c')},' ',seq)",
        keys="""ADD UNIQUE KEY name (name),
            ADD CONSTRAINT category_parent FOREIGN KEY (parent_id) REFERENCES categories (id)""",
    )


def _users(counts: Counts) -> Table:
    return Table(
        name="users",
        rows=counts.users,
        definition="""
            id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            email VARCHAR(120) NOT NULL,
            full_name VARCHAR(120) NOT NULL,
            password_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
            phone VARCHAR(24) NULL,
            birth_date DATE NULL,
            points INT NOT NULL,
            balance DECIMAL(12,2) NOT NULL,
            latitude DOUBLE NULL,
            is_active TINYINT(1) NOT NULL,
            created_at DATETIME NOT NULL,
            seen_at TIMESTAMP NULL""",
        columns="""id, email, full_name, password_hash, phone, birth_date, points, balance, latitude,
            is_active, created_at, seen_at""",
        values=f"""seq,
            CONCAT('user',seq,'.',LEFT(MD5(seq),6),'@example.com'),
            CONCAT({picked(_FIRST_NAMES, "f")},' ',{picked(_LAST_NAMES, "l")}),
            SHA2(CONCAT('secret',seq),256),
            IF({hashed("p")}%3=0,NULL,CONCAT('+49 ',{hashed("p")})),
            IF({hashed("b")}%4=0,NULL,'1950-01-01'+INTERVAL {hashed("b")}%20000 DAY),
            {hashed("o")}%5000,
            CAST({hashed("m")}%1000000 AS SIGNED)/100-1000,
            IF({hashed("g")}%2=0,NULL,{hashed("g")}/23860929.4e0-90),
            {hashed("a")}%10<>0,
            {moment("t")},
            IF({hashed("s")}%5=0,NULL,{moment("s")})""",
        keys="ADD UNIQUE KEY email (email), ADD KEY created_at (created_at)",
    )


def _products(counts: Counts) -> Table:
    phrases = ",".join(picked(_PHRASES, f"d{number}") for number in range(_PHRASES_PER_DESCRIPTION))
    picture = ",".join(f"UNHEX(SHA2(CONCAT(seq,'i{number}'),512))" for number in range(8))
    return Table(
        name="products",
        rows=counts.products,
        definition="""
            id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            category_id SMALLINT UNSIGNED NOT NULL,
            sku VARCHAR(32) NOT NULL,
            title VARCHAR(200) NOT NULL,
            description TEXT NOT NULL,
            attributes JSON NULL,
            price DECIMAL(10,2) NOT NULL,
            weight_kg DOUBLE NOT NULL,
            stock INT NOT NULL,
            thumbnail BLOB NULL,
            updated_at DATETIME(3) NOT NULL""",
        columns="""id, category_id, sku, title, description, attributes, price, weight_kg, stock,
            thumbnail, updated_at""",
        values=f"""seq, 1+{hashed("c")}%{counts.categories},
            CONCAT('SKU-',UPPER(LEFT(MD5(seq),10)),'-',seq),
            CONCAT({picked(_PHRASES, "u")},', ',{picked(_PHRASES, "v")}),
            CONCAT_WS('. ',{phrases}),
            IF({hashed("j")}%4=0,NULL,
               CONCAT('{{"color":"',ELT(1+seq%4,'red','blue','green','black'),'","tags":["a",',
                      '"b"],"size":',{hashed("j")}%60,'}}')),
            {hashed("p")}%500000/100, {hashed("w")}/143165576.5e0, {hashed("s")}%1000,
            IF({hashed("i")}%10=0,NULL,CONCAT(X'89504E470D0A1A0A',{picture})),
            {moment("t")}+INTERVAL {hashed("k")}%1000*1000 MICROSECOND""",
        keys="""ADD UNIQUE KEY sku (sku), ADD KEY category_price (category_id, price),
            ADD CONSTRAINT product_category FOREIGN KEY (category_id) REFERENCES categories (id)""",
    )


def _orders(counts: Counts) -> Table:
    return Table(
        name="orders",
        rows=counts.orders,
        definition="""
            id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            user_id INT UNSIGNED NOT NULL,
            status ENUM('new','paid','shipped','returned','cancelled') NOT NULL,
            currency CHAR(3) CHARACTER SET ascii NOT NULL,
            total DECIMAL(12,2) NOT NULL,
            exchange_rate DOUBLE NOT NULL,
            placed_at DATETIME NOT NULL,
            shipped_on DATE NULL,
            note VARCHAR(200) NULL""",
        columns="""id, user_id, status, currency, total, exchange_rate, placed_at, shipped_on,
            note""",
        values=f"""seq, 1+{hashed("u")}%{counts.users}, 1+{hashed("s")}%5,
            ELT(1+{hashed("c")}%3,'EUR','USD','JPY'), {hashed("t")}%1000000/100,
            IF({hashed("c")}%3=0,1,{hashed("r")}/3579139412.9e0),
            '2019-01-01'+INTERVAL (seq*189000000 DIV {counts.orders})+{hashed("p")}%9999 SECOND,
            IF({hashed("s")}%5 IN (2,3),
               '2019-01-02'+INTERVAL seq*2187 DIV {counts.orders}+{hashed("p")}%7 DAY,NULL),
            IF({hashed("n")}%8=0,{picked(_NOTES, "m")},NULL)""",
        keys="""ADD KEY user_id (user_id), ADD KEY status_placed (status, placed_at),
            ADD CONSTRAINT order_user FOREIGN KEY (user_id) REFERENCES users (id)""",
    )


def _items(counts: Counts) -> Table:
    # The square makes some products popular, as in a shop.
    popular = f"FLOOR(POW({hashed('p')}/4294967296e0,2)*{counts.products})"
    return Table(
        name="order_items",
        rows=counts.items,
        definition="""
            id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            order_id INT UNSIGNED NOT NULL,
            product_id INT UNSIGNED NOT NULL,
            quantity SMALLINT UNSIGNED NOT NULL,
            unit_price DECIMAL(10,2) NOT NULL,
            discount DOUBLE NULL""",
        columns="id, order_id, product_id, quantity, unit_price, discount",
        values=f"""seq, 1+(seq-1)*{counts.orders} DIV {counts.items}, 1+{popular},
            1+{hashed("q")}%5, {hashed("u")}%50000/100,
            IF({hashed("d")}%4=0,{hashed("d")}%400/1000e0,NULL)""",
        keys="""ADD KEY order_id (order_id), ADD KEY product_id (product_id),
            ADD CONSTRAINT item_order FOREIGN KEY (order_id) REFERENCES orders (id)
                ON DELETE CASCADE,
            ADD CONSTRAINT item_product FOREIGN KEY (product_id) REFERENCES products (id)""",
    )
