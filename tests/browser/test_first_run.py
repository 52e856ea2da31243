"""From an empty machine to a proven restore, in a browser; only the token comes from the terminal."""

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import expect
from sqlalchemy import make_url

from tests.fixtures.barriers import SMALL, barriers, is_scrolled_sideways
from tests.fixtures.chosen_server import NAME
from tests.fixtures.people import PASSWORD
from tests.fixtures.series import series


_LINK = re.compile(r"http://\S+(/setup#\S+)")
# What the page calls the kind of server that these tests run on.
KIND = {"mariadb-11.8": "MariaDB 11.3 and newer", "mysql-9.7": "MySQL"}.get(
    NAME, "MariaDB 10.6 to 11.2"
)
ACCOUNT = "backstay_restore"
# MySQL takes its time for definitions, and other tests run beside.
RUN_MILLISECONDS = 60_000
SECRET = "another long password"


class _Listener(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""


@pytest.fixture
def alert_url():
    """An address that takes every message."""
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _Listener)
    thread = Thread(target=listener.serve_forever)
    thread.start()
    yield f"json://127.0.0.1:{listener.server_port}/"
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.fixture
def shop(sql, database):
    """A database that nobody backs up yet."""
    sql.script([
        "CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(40))",
        "CREATE TABLE orders (id INT PRIMARY KEY, total DECIMAL(8,2))",
        "INSERT INTO customers VALUES (1, 'Ada'), (2, 'Grace')",
        "INSERT INTO orders VALUES (1, 10.00), (2, 20.00), (3, 30.00)",
    ])
    yield database
    sql.run(f"DROP USER IF EXISTS '{ACCOUNT}'@'%'")


def make_admin(visitor, log):
    """Open the printed link, which fills the token in and leaves no trace in the address."""
    page = visitor.go(_LINK.findall(log)[-1])
    expect(page.get_by_label("Token")).not_to_have_value("")
    assert "#" not in page.url
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, once more").fill(PASSWORD)
    page.get_by_role("button", name="Make this admin").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    return page


def step(page, name):
    """Return the line of the checklist with this name."""
    return page.get_by_role("listitem").filter(has_text=name)


def make_account(page, sql, database):
    """Run, as an administrator would, the statements that the page shows."""
    page.locator("summary", has_text=KIND).click()
    text = page.locator("main details[open] pre").first.text_content()
    text = text.replace("`shop", f"`{database}").replace("'localhost'", "'%'")
    sql.script([line.rstrip(";") for line in text.splitlines() if not line.startswith("--")])


def connect(page, server, database, *, password):
    """Fill in the form that connects the server, and send it."""
    url = make_url(server.url)
    page.get_by_label("Host").fill(url.host or "127.0.0.1")
    page.get_by_label("Port").fill(str(url.port))
    page.get_by_label("User", exact=True).fill(ACCOUNT)
    page.get_by_label("Password").fill(password)
    page.get_by_label("Database").fill(database)
    page.locator("main form").get_by_role("button").click()


def back_up_and_drill(page):
    """Follow the checklist from the first backup to its proof."""
    page.get_by_role("link", name="Make the first backup").click()
    page.get_by_role("button", name=re.compile("Back up")).click()
    expect(page.get_by_text("succeeded", exact=True)).to_be_visible(timeout=RUN_MILLISECONDS)
    page.get_by_role("link", name="Overview").first.click()
    expect(step(page, "Make the first backup")).to_contain_text("done")
    page.get_by_role("link", name="Drill it").click()
    page.get_by_role("button", name="Drill").click()
    expect(page.get_by_text("succeeded", exact=True)).to_be_visible(timeout=RUN_MILLISECONDS)
    page.get_by_role("link", name="Overview").first.click()
    expect(step(page, "Drill it")).to_contain_text("done")


def schedule_and_test_alert(page):
    """Follow the rest of the checklist, after which it is gone."""
    page.get_by_role("link", name="Set a schedule").click()
    page.get_by_label("Every day at 02:00").check()
    page.get_by_role("button", name=re.compile("Save")).click()
    page.get_by_role("link", name="Overview").first.click()
    expect(step(page, "Set a schedule")).to_contain_text("done")
    page.get_by_role("link", name="Send a test alert").click()
    page.get_by_role("button", name=re.compile("test")).click()
    page.get_by_role("link", name="Overview").first.click()
    expect(page.get_by_role("heading", name="First steps")).to_have_count(0)


def restore(page, database):
    """Bring everything back in place, through the dry run."""
    page.get_by_role("row", name=database).get_by_role("link", name="Restore").click()
    page.get_by_role("button", name="Dry run", exact=True).click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label(re.compile("^Type")).fill(database)
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("read back and equal")).to_be_visible(timeout=RUN_MILLISECONDS)


def test_an_empty_machine_becomes_a_proven_restore(visitors, own_api, server, sql, shop, alert_url):
    """First admin, server, account, backup, drill, schedule, alert; then a lost table comes back."""
    api = own_api("")
    api.settings.pop("DATABASE_URL")
    visitor = visitors(api.start(ALERT_URLS=alert_url))
    page = make_admin(visitor, api.log)
    expect(step(page, "Connect the server")).to_contain_text("to do")

    step(page, "Connect the server").get_by_role("link").click()
    make_account(page, sql, shop)
    connect(page, server, shop, password="not this one")
    expect(page.get_by_text("The server does not let us in")).to_be_visible()
    connect(page, server, shop, password=SECRET)
    expect(page.get_by_role("heading", name="Server", exact=True)).to_be_visible()
    expect(page.get_by_role("row", name="backup rights")).to_contain_text("good")

    page.get_by_role("link", name="Overview").first.click()
    back_up_and_drill(page)
    schedule_and_test_alert(page)

    sql.run("DROP TABLE orders")
    restore(page, shop)
    assert sql.run("SELECT COUNT(*) FROM orders")[0][0] in {3, "3"}


# Whether the longest is seen to its end.
ALL_OF_THE_OPTIONS = """(select) => {
  const style = getComputedStyle(select);
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.font = style.font;
  const room = select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return [...select.options].every((option) => canvas.measureText(option.text).width <= room);
}"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("scheme", "width"), series([("dark", 375)], [("light", 1280), ("dark", 375)])
)
def test_pages_of_the_first_run_keep_nobody_out(visitors, own_api, scheme, width):
    """Neither empty nor with errors in them; and nothing is wider than a small phone."""
    api = own_api("")
    api.settings.pop("DATABASE_URL")
    visitor = visitors(api.start(), color_scheme=scheme, viewport={"width": width, "height": 900})
    page = visitor.go("/setup")
    require_no_barrier(page)
    page.get_by_label("Token").fill("wrong")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, once more").fill(PASSWORD)
    page.get_by_role("button", name="Make this admin").click()
    expect(page.get_by_text("not the token")).to_be_visible()
    require_no_barrier(page)

    make_admin(visitor, api.log)
    expect(page.locator(".verdict")).to_contain_text("Connect the server first")
    require_no_barrier(page)
    visitor.go("/server/connect")
    assert page.get_by_label("Encryption").evaluate(ALL_OF_THE_OPTIONS)
    for closed in page.locator("main details").all():
        closed.locator("summary").first.click()
    require_no_barrier(page)
    page.get_by_label("Port").fill("none")
    page.locator("main form").get_by_role("button").click()
    expect(page.get_by_text("A number from 1")).to_be_visible()
    require_no_barrier(page)


def require_no_barrier(page):
    """Find nothing that keeps people out, also at 320 pixels."""
    size = page.viewport_size
    assert barriers(page) == []
    assert page.evaluate(SMALL) == []
    page.set_viewport_size({"width": 320, "height": 900})
    assert not is_scrolled_sideways(page)
    page.set_viewport_size(size)


def test_the_token_can_be_pasted_without_scripts(visitors, own_api, server):
    """The link opens the form; what follows the # is copied from the terminal."""
    api = own_api(server.url).start()
    visitor = visitors(api, java_script_enabled=False)
    page = visitor.go("/")
    expect(page.get_by_label("Token")).to_be_focused()
    page.get_by_label("Token").fill(_LINK.findall(api.log)[-1].partition("#")[2])
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, once more").fill(PASSWORD)
    page.get_by_role("button", name="Make this admin").click()

    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(step(page, "Connect the server")).to_contain_text("done")
