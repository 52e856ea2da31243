"""Restores over HTTP: looked at, tried by dry runs and drills, done whole or in part, and taken back."""

import pytest

from tests.fixtures.api_requests import BACKUP, RUNS, WAIT, created, done, problem


ROWS = "SELECT (SELECT COUNT(*) FROM ant), (SELECT COUNT(*) FROM bee)"


@pytest.fixture
def backup_id(admin, sql, database):
    """A backup of one database: 10 rows in `ant`, 20 in `bee`, which then lose all but one."""
    sql.script([
        "CREATE TABLE ant (id INT PRIMARY KEY) AS SELECT seq AS id FROM seq_1_to_10",
        "CREATE TABLE bee (id INT PRIMARY KEY) AS SELECT seq AS id FROM seq_1_to_20",
        "CREATE VIEW both_of_them AS SELECT COUNT(*) FROM ant JOIN bee",
    ])
    run = created(admin, databases=[database])
    sql.script(["DELETE FROM ant WHERE id > 1", "DELETE FROM bee WHERE id > 1"])
    return run["backup_id"]


@pytest.fixture
def restore(admin, backup_id):
    """POST restore of that backup, waited for, without a recovery point unless asked for."""

    def restore(**body):
        body = {"create_backup": False, **body}
        return admin.post(f"{BACKUP}/restore/{backup_id}", json=body, headers=WAIT)

    return restore


def test_recovery_options_tell_what_is_possible(admin, backup_id, database):
    """Tables with their rows, no problem, and room and time that it would take."""
    found = admin.get(f"{BACKUP}/recovery-options/{backup_id}").json()

    assert (found["success"], found["full_restore"], found["problems"]) == (True, True, [])
    (contents,) = found["databases"]
    assert (contents["database"], contents["objects_count"]) == (database, 1)
    assert [(table["name"], table["rows"]) for table in contents["tables"]] == [
        ("ant", 10),
        ("bee", 20),
    ]
    assert found["disk"]["needed"] > 0
    assert found["packet"]["needed"] <= found["packet"]["allowed"]
    assert found["estimated_duration"] > 0
    assert (found["proofs"], found["proven_at"], found["undoable"]) == ([], None, [])


def test_recovery_options_name_the_restores_that_can_be_undone(admin, backup_id, restore):
    """After a restore it is there with its proof, until the undo is over too."""
    restored = done(restore())

    found = admin.get(f"{BACKUP}/recovery-options/{backup_id}").json()

    assert [undoable["restore_id"] for undoable in found["undoable"]] == [restored["restore_id"]]
    assert found["undoable"][0]["until"] == restored["result"]["undo_until"]
    assert [(proof["by"], proof["success"], proof["whole"]) for proof in found["proofs"]] == [
        ("restore", True, True)
    ]
    assert found["proven_at"] == found["proofs"][0]["at"]
    info = admin.get(f"{BACKUP}/info/{backup_id}").json()
    assert info["proven_at"].replace(" ", "T") + "Z" == found["proven_at"]


def test_no_body_restores_everything(admin, backup_id, sql):
    """The defaults check before and after, and keep a recovery point of what was there."""
    run = done(admin.post(f"{BACKUP}/restore/{backup_id}", headers=WAIT))

    result = run["result"]
    assert (run["kind"], run["backup_id"]) == ("restore", backup_id)
    assert (result["verified_before"], result["verified"], result["rows_count"]) == (True, True, 30)
    assert run["restore_id"] == result["restore_id"]
    assert sql.run(ROWS) == [(10, 20)]
    point = admin.get(f"{BACKUP}/info/{result['recovery_point']}").json()
    assert (point["recovery_point"], point["rows_count"]) == (True, 2)


def test_some_tables_come_back_and_others_stay(restore, sql, database):
    """`tables` restores these alone; the rest is as it was."""
    run = done(restore(tables=["ant"]))

    assert run["result"]["restored_tables"] == [f"{database}.ant"]
    assert run["result"]["recovery_point"] is None
    assert run["request"]["tables"] == ["ant"]
    assert sql.run(ROWS) == [(10, 1)]


def test_a_restore_into_another_database_leaves_the_first(restore, sql, database):
    """`into` fills a new database; a second time it is not empty: 409 target-not-empty."""
    other = f"{database}_2"
    try:
        run = done(restore(into=other))
        again = restore(into=other)
        rows = sql.run(f"SELECT COUNT(*) FROM {other}.bee")
    finally:
        sql.run(f"DROP DATABASE IF EXISTS {other}")

    assert run["result"]["databases"] == [other]
    assert rows == [(20,)]
    assert sql.run(ROWS) == [(1, 1)]
    problem(again, 409, "target-not-empty")


@pytest.mark.parametrize(
    ("option", "rows"), [({"schema_only": True}, (0, 0)), ({"data_only": True}, (10, 20))]
)
def test_definitions_or_rows_alone_come_back(restore, sql, option, rows):
    """`schema_only` leaves rows out, `data_only` keeps the definitions that tables have."""
    sql.run("ALTER TABLE ant COMMENT 'of later'")

    done(restore(**option, verify_before=False, verify_after=False))

    assert sql.run(ROWS) == [rows]
    ((comment,),) = sql.run(
        "SELECT TABLE_COMMENT FROM information_schema.TABLES"
        " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'ant'"
    )
    assert comment == ("of later" if "data_only" in option else "")


def test_a_restore_is_undone_and_the_undo_as_well(admin, restore, sql):
    """Each undo names the one before by its own id, and brings back what that one replaced."""
    first = done(restore())
    states = [sql.run(ROWS)]
    undone = done(admin.post(f"{BACKUP}/undo/{first['restore_id']}", headers=WAIT))
    states += [sql.run(ROWS)]
    done(admin.post(f"{BACKUP}/undo/{undone['restore_id']}", headers=WAIT))
    states += [sql.run(ROWS)]

    assert states == [[(10, 20)], [(1, 1)], [(10, 20)]]
    assert undone["kind"] == "undo"
    assert undone["restore_id"] not in {None, first["restore_id"]}


def test_an_undo_that_is_asked_for_twice_is_one(admin, restore, sql):
    """By its key; without it nobody can tell, and what is undone is undone."""
    path = f"{BACKUP}/undo/{done(restore())['restore_id']}"
    headers = {**WAIT, "Idempotency-Key": "undone-once"}
    first, second = (done(admin.post(path, headers=headers)) for _ in range(2))

    assert first == second
    assert sql.run(ROWS) == [(1, 1)]
    problem(admin.post(path, headers=WAIT), 409, "undo-expired")


def test_a_restore_is_undone_by_the_id_of_its_backup(admin, backup_id, restore, sql):
    """The newest restore of a backup needs no other name."""
    done(restore())

    run = done(admin.post(f"{BACKUP}/undo/{backup_id}", headers=WAIT))

    assert (run["backup_id"], run["result"]["backup_id"]) == (backup_id, backup_id)
    assert sql.run(ROWS) == [(1, 1)]


def test_only_what_was_restored_can_be_undone(admin, backup_id):
    """404 recovery-not-found for ids of no restore, and for a backup that never was restored."""
    for name in ("restore_861d0b977aca", "nonsense", backup_id):
        problem(admin.post(f"{BACKUP}/undo/{name}"), 404, "recovery-not-found")


def test_an_undo_whose_time_is_over_is_refused(own_api, server, sql, database):
    """409 undo-expired where nothing is kept."""
    sql.run("CREATE TABLE ant (id INT PRIMARY KEY)")
    client = own_api(server.url).start(UNDO_MINUTES="0").client()
    backup_id = created(client, databases=[database])["backup_id"]
    body = {"create_backup": False}
    run = done(client.post(f"{BACKUP}/restore/{backup_id}", json=body, headers=WAIT))

    found = client.post(f"{BACKUP}/undo/{run['restore_id']}", headers=WAIT)

    assert run["result"]["undo_until"] is None
    problem(found, 409, "undo-expired")


# -- dry runs and drills ------------------------------------------------------------------------------------


def test_a_dry_run_tells_and_changes_nothing(admin, backup_id, sql, database):
    """Its result has each table with the rows of now and then; the tables are as they were."""
    run = done(admin.post(f"{BACKUP}/test-restore/{backup_id}", headers=WAIT))

    result = run["result"]
    assert (run["kind"], result["dry_run"], result["problems"]) == ("dry-run", True, [])
    assert result["restored_tables"] == [f"{database}.ant", f"{database}.bee"]
    assert [
        (table["name"], table["rows_now"], table["rows_then"]) for table in result["tables"]
    ] == [
        ("ant", 1, 10),
        ("bee", 1, 20),
    ]
    assert sql.run(ROWS) == [(1, 1)]


def test_a_dry_run_has_what_is_in_the_way_in_its_result(admin, backup_id, sql, database):
    """It succeeds in finding out that the restore would not."""
    other = f"{database}_3"
    sql.script([f"CREATE DATABASE {other}", f"CREATE TABLE {other}.t (id INT)"])
    try:
        body = {"into": other}
        answer = admin.post(f"{BACKUP}/test-restore/{backup_id}", json=body, headers=WAIT)
    finally:
        sql.run(f"DROP DATABASE {other}")

    result = done(answer)["result"]
    assert result["success"] is False
    assert [problem["code"] for problem in result["problems"]] == ["target-not-empty"]


def test_a_drill_restores_beside_and_proves(admin, backup_id, sql, database):
    """All rows were restored and compared, nothing of it is left, and the proof is kept."""
    body = {"drill": True}
    run = done(admin.post(f"{BACKUP}/test-restore/{backup_id}", json=body, headers=WAIT))

    assert (run["kind"], run["result"]["drill"], run["result"]["rows_count"]) == ("drill", True, 30)
    assert run["result"]["verified"] is True
    assert sql.run(ROWS) == [(1, 1)]
    assert sql.run(f"SHOW DATABASES LIKE '{database}_%'") == []
    options = admin.get(f"{BACKUP}/recovery-options/{backup_id}").json()
    assert [(option["by"], option["success"]) for option in options["proofs"]] == [("drill", True)]


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"tables": ["cow"]}, 404, "table-not-found"),
        ({"databases": ["not_there"]}, 404, "database-not-found"),
        ({"schema_only": True, "data_only": True}, 422, "invalid-request"),
        ({"into": "mysql"}, 422, "invalid-request"),
        ({"into": ""}, 422, "invalid-request"),
        ({"drill": True}, 422, "invalid-request"),
    ],
)
def test_a_restore_that_makes_no_sense_is_refused(admin, restore, sql, body, status, code):
    """The problem is told at once, no run is made of it, and nothing is changed."""
    before = admin.get(RUNS).json()["total"]

    problem(restore(**body), status, code)

    assert admin.get(RUNS).json()["total"] == before
    assert sql.run(ROWS) == [(1, 1)]


def test_a_restore_of_a_damaged_backup_changes_nothing(admin, shared_api, backup_id, restore, sql):
    """500 checksum-mismatch before anything is touched."""
    file = shared_api.backups / admin.get(f"{BACKUP}/info/{backup_id}").json()["file"]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(data)

    problem(restore(), 500, "checksum-mismatch")

    assert sql.run(ROWS) == [(1, 1)]
    done(admin.delete(f"{BACKUP}/delete/{backup_id}"))


def test_a_server_without_the_rights_is_told_with_its_grant(own_api, server, sql, database):
    """502 permission-denied for a backup by a user who may not read; the hint is what to run."""
    sql.script(["CREATE TABLE ant (id INT)", "CREATE USER poor_one IDENTIFIED BY 'pw-poor'"])
    try:
        sql.run(f"GRANT SHOW VIEW ON {database}.* TO poor_one")
        client = own_api(server.url.replace("//root", "//poor_one:pw-poor")).start().client()
        body = {"databases": [database]}
        found = client.post(f"{BACKUP}/create", json=body, headers=WAIT)
    finally:
        sql.run("DROP USER poor_one")

    assert "GRANT SELECT" in problem(found, 502, "permission-denied")["hint"]


def test_a_server_that_cannot_take_a_backup_is_incompatible(admin, sql, database):
    """400 incompatible-server for rows that are larger than the server takes now."""
    sql.script(["CREATE TABLE ant (x LONGTEXT)", "INSERT INTO ant VALUES (REPEAT('x', 3000000))"])
    backup_id = created(admin, databases=[database])["backup_id"]
    ((before,),) = sql.run("SELECT @@GLOBAL.max_allowed_packet")
    sql.run("SET GLOBAL max_allowed_packet = 1048576")
    try:
        body = {"create_backup": False}
        found = admin.post(f"{BACKUP}/restore/{backup_id}", json=body, headers=WAIT)
        options = admin.get(f"{BACKUP}/recovery-options/{backup_id}").json()
    finally:
        sql.run(f"SET GLOBAL max_allowed_packet = {before}")

    problem(found, 400, "incompatible-server")
    assert options["full_restore"] is False
    assert [option["code"] for option in options["problems"]] == ["incompatible-server"]
    assert options["packet"]["needed"] > options["packet"]["allowed"] == 1048576
