"""Who sees and does what in the pages: every route, every role, and whoever sends forms from elsewhere."""

import hashlib
import re
from pathlib import Path

import pytest

from app.api.access import operation_name
from app.domain.rights import least_role
from app.web.application import PAGE_ROUTES
from tests.fixtures.api import ROLES
from tests.fixtures.people import PASSWORD, with_users
from tests.fixtures.web import SAME_SITE, WebClient


TEMPLATES = Path(__file__).parents[2] / "app/web/templates"
# Of each kind one that names nothing.
NOTHING = {
    "backup_id": "backup_0000000000000",
    "restore_id": "restore_000000000000",
    "run_id": "run_0000000000000000",
    "name": "nobody",
    "code": "nothing",
    "file": "nothing.js",
    "session_id": "0" * 32,
}
ROUTES = sorted(
    (
        method,
        re.sub(r"\{(\w+)\}", lambda found: NOTHING[found[1]], route.path),
        operation_name(route),
    )
    for route in PAGE_ROUTES
    for method in route.methods or ()
)
GUARDED = [(method, path, name) for method, path, name in ROUTES if least_role(name) is not None]


@pytest.fixture(scope="module")
def logged_in(web_api):
    """Somebody of each role, logged in."""
    return {role: WebClient(web_api, role) for role in ROLES}


def send(web, method, path, **fields):
    return web.get(path) if method == "GET" else web.post(path, **fields)


def test_every_route_has_a_row_in_the_table_of_rights():
    """A page that is new and not in the table is refused, and this test says so before."""
    assert len(ROUTES) > 20
    for _, _, name in ROUTES:
        least_role(name)


@pytest.mark.parametrize(("method", "path", "name"), GUARDED)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_sees_and_does_what_the_table_says(logged_in, role, method, path, name):
    """Whatever else is wrong, 403 says that the role is not enough, and nothing else does."""
    if (method, name) == ("POST", "log_out"):
        return  # it is tried below, with a login of its own
    answer = send(logged_in[role], method, path, databases="there-is-no-such-database")

    refused = ROLES.index(role) < ROLES.index(least_role(name) or "viewer")
    assert (answer.status_code == 403) == refused, answer.text
    assert answer.status_code < 500
    if answer.status_code != 303 and not path.endswith(".csv"):
        assert "text/html" in answer.headers["Content-Type"]
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(("method", "path", "name"), GUARDED)
def test_nobody_is_led_to_the_login(web_api, method, path, name):
    """Who looks is led there and back; who sends a form without a login is refused."""
    client = web_api.client(None)
    answer = client.request(method, path, headers=SAME_SITE)

    if method == "GET":
        assert answer.status_code == 303
        assert answer.headers["Location"].startswith("/login")
    else:
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "name"), [route for route in GUARDED if route[0] == "POST"]
)
def test_a_form_from_elsewhere_is_refused(logged_in, method, path, name):
    """By what the browser says of it, by the host it names, and by the token that it lacks."""
    admin = logged_in["admin"]
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {},
    ):
        assert admin.post(path, headers=headers).status_code == 403
    for token in ("", "0" * 16, f"{'0' * 16}.{'0' * 64}", logged_in["viewer"].token):
        assert admin.post(path, csrf=token).status_code == 403


def test_without_fetch_metadata_the_origin_must_be_ours(web_api, logged_in):
    """Browsers say nothing else over plain HTTP from another machine."""
    admin = logged_in["admin"]
    headers = {"Origin": web_api.url}

    assert admin.post("/theme", headers=headers, theme="dark").status_code == 303


def test_tokens_differ_each_time_and_are_good_for_one_login(logged_in, web_api):
    """What is compressed with an answer must not be the same each time."""
    admin = logged_in["admin"]
    first, second = admin.token_of("/"), admin.token_of("/")

    assert first != second
    for token in (first, second):
        assert admin.post("/theme", csrf=token, theme="auto").status_code == 303
        assert WebClient(web_api).post("/theme", csrf=token).status_code == 403


def test_cookies_open_no_api_and_tokens_no_page(web_api):
    """Each way in has its own proof; a cookie is no refresh token either, and who tries it ends the login."""
    admin = WebClient(web_api)
    cookie = next(found for found in admin.client.cookies.jar if found.name != "theme")
    api = web_api.client("admin")

    assert admin.client.get("/api/admin/runs").status_code == 401
    assert api.get("/backups").status_code == 303
    refresh = api.post("/api/auth/refresh", json={"refresh_token": cookie.value})
    assert refresh.status_code == 401
    assert admin.get("/").status_code == 303


def test_a_cookie_is_for_this_service_alone(web_api):
    """Scripts do not see it, other sites do not send it, and each port has its own."""
    client = web_api.client(None)
    body = {"name": "admin", "password": PASSWORD}
    header = client.post("/login", data=body, headers=SAME_SITE).headers["Set-Cookie"]
    port = web_api.url.rpartition(":")[2]

    assert header.startswith(f"backstay-{port}=")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(header.split("; "))


def test_a_login_is_always_a_new_session(web_api):
    """A cookie that somebody has planted is never the one that gets good."""
    planted = "0" * 32 + "." + "x" * 43
    client = web_api.client(None)
    name = f"backstay-{web_api.url.rpartition(':')[2]}"
    client.cookies.set(name, planted)
    body = {"name": "admin", "password": PASSWORD}
    answer = client.post("/login", data=body, headers=SAME_SITE)

    assert planted not in answer.headers["Set-Cookie"]
    assert web_api.client(None, cookies={name: planted}).get("/").status_code == 303


def test_after_the_logout_the_cookie_is_worth_nothing(web_api):
    """Also for whoever has copied it."""
    web = WebClient(web_api)
    copied = dict(web.client.cookies)
    assert web.post("/logout").status_code == 303

    assert web_api.client(None, cookies=copied).get("/").status_code == 303


@pytest.mark.parametrize(
    "wanted",
    [
        "//elsewhere.example",
        "https://elsewhere.example",
        "/\\elsewhere.example",
        "javascript:alert(1)",
        "/\n/x",
    ],
)
def test_a_login_leads_to_no_other_site(web_api, wanted):
    """Whatever an address asks for, the way leads to a page of ours."""
    client = web_api.client(None)
    body = {"name": "admin", "password": PASSWORD, "next": wanted}
    answer = client.post("/login", data=body, headers=SAME_SITE)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_a_wrong_password_is_told_and_not_which_part_was_wrong(web_api):
    """The same words for a name that nobody has."""
    client = web_api.client(None)
    pages = [
        client.post("/login", data={"name": name, "password": "wrong"}, headers=SAME_SITE)
        for name in ("admin", "nobody-of-this-name")
    ]

    assert [page.status_code for page in pages] == [401, 401]
    assert all("Wrong user name or password" in page.text for page in pages)


def test_who_is_disabled_is_out_at_once(web_api):
    """The next page asks for a login."""
    with web_api.client() as admin:
        with_users(web_api, leaver="operator")
        web = WebClient(web_api, "leaver")
        admin.patch("/api/admin/users/leaver", json={"disabled": True}).raise_for_status()

    assert web.get("/").status_code == 303


def test_a_cookie_does_not_rise_with_the_role_of_its_user(web_api):
    """Whoever gets more rights logs in once more; tokens of programs go by the role of the moment."""
    with web_api.client() as admin:
        with_users(web_api, riser="operator")
        web = WebClient(web_api, "riser")
        admin.patch("/api/admin/users/riser", json={"role": "operator"}).raise_for_status()
        assert web.get("/").status_code == 200
        admin.patch("/api/admin/users/riser", json={"role": "admin"}).raise_for_status()

    assert web.get("/users").status_code == 303
    assert WebClient(web_api, "riser").get("/users").status_code == 200


def test_what_is_done_in_pages_is_in_the_audit_under_the_same_names(web_api):
    """With who did it and from where; looking is not."""
    web = WebClient(web_api)
    web.post("/users", name="noted", password=PASSWORD, role="viewer")
    web.get("/backups")
    with web_api.client() as admin:
        entries = admin.get("/api/admin/audit", params={"limit": 5}).json()["entries"]

    newest = entries[0]
    assert (newest["actor"], newest["action"]) == ("admin", "create_user")
    assert newest["status"] == 303


def test_assets_are_kept_for_ever_and_come_compressed(web_api):
    """Their names change with their content."""
    client = web_api.client(None)
    paths = re.findall(r'"(/assets/[^"]+)"', client.get("/login").text)

    assert len(paths) >= 6
    for path in set(paths):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Content-Encoding"] == "gzip"
    assert client.get("/assets/nothing.css").status_code == 404


def test_pages_come_compressed_to_who_takes_it(logged_in):
    """A year of history is no reason to wait over a slow line."""
    client = logged_in["viewer"].client
    packed = client.get("/")
    plain = client.get("/", headers={"Accept-Encoding": "identity"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < len(plain.content) / 3
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"


def test_templates_have_nothing_that_the_policy_forbids():
    """A browser would drop it without a word: inline scripts and styles, and what htmx evaluates."""
    forbidden = re.compile(
        r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=|hx-on|js:|javascript:|hx-vals|hx-trigger=\"[^\"]*\["
    )
    found = {
        str(path.relative_to(TEMPLATES)): match[0]
        for path in TEMPLATES.rglob("*.html")
        if (match := forbidden.search(path.read_text()))
    }
    assert found == {}


def test_an_address_that_is_none_is_a_page_for_browsers_and_a_problem_for_programs(web_api):
    """Both with 404."""
    client = web_api.client(None)
    page = client.get("/nothing", headers={"Accept": "text/html"})
    problem = client.get("/nothing")

    assert (page.status_code, problem.status_code) == (404, 404)
    assert page.headers["Content-Type"].startswith("text/html")
    assert problem.headers["Content-Type"] == "application/problem+json"


def test_what_others_have_made_is_as_it_was_fetched():
    """The sums are those of scripts/vendor_ui.py, and each has its licence beside it."""
    assets = TEMPLATES.parent / "assets"
    lines = [line.split() for line in (assets / "SHA256SUMS").read_text().splitlines()]
    sums = {name: known for known, name in lines}

    assert {path.name for path in assets.glob("*.min.*")} == set(sums)
    for name, known in sums.items():
        assert hashlib.sha256((assets / name).read_bytes()).hexdigest() == known
    assert {"htmx.LICENSE", "tabler.LICENSE"} <= {path.name for path in assets.iterdir()}


def test_every_page_says_what_wants_attention_and_where(web_api, server):
    """Open alerts and running work in the menu, and which server it is; a day narrows the list."""
    web = WebClient(web_api)
    with web_api.client() as admin:
        alerts = admin.get("/api/admin/alerts", params={"open": True}).json()["total"]
    page = web.get("/backups?day=1999-01-01")

    assert (f'{alerts}<span class="visually-hidden"> open' in page.text) == bool(alerts)
    assert f":{server.port}" in page.text
    assert "No backup is like that" in page.text
    assert web.get("/backups?day=1999-13-01").status_code == 422


@pytest.mark.parametrize("role", ROLES)
def test_only_admins_see_directories_of_the_machine(web_api, role):
    """The doctor names them; others see what is wrong, and not where."""
    page = WebClient(web_api, role).get("/server")

    assert page.status_code == 200
    assert "backup directory" in page.text
    assert (str(web_api.backups) in page.text) == (role == "admin")
