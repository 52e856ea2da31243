"""How a server replays binary logs that are given to it as relay logs: what differs between the vendors."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Replication:
    """
    One vendor's words.

    Attributes:
        options: Of a server that replays and does nothing else.
        place: Statement that says where the applier begins; `{file}`, a quoted name, `{position}` and
            `{relay_position}` are filled in.
        start: Statement that starts it.
        status: Statement whose one row describes the applier.
        is_running: Its column that says `Yes` while the applier works or waits.
        state: Its column with what the applier does in words.
        source_file: Its column with the file that the applier is in, as the source named it.
        source_position: Its column with the position there, behind the last transaction.
        applied: Expression for the GTIDs that the applier has applied.
        taken: Columns that count in all the transactions that the applier has begun since its server started, one
            that it begins again each time; none where GTIDs tell every one.
        retried: Column with how often it has begun one again by itself.
        unnamed: Source of the GTIDs that it gives to transactions without one, counted from 1; empty where each has one.
        end: Statement that stops the applier.
    """

    options: tuple[str, ...]
    place: str
    start: str
    status: str
    is_running: str
    state: str
    source_file: str
    source_position: str
    applied: str
    taken: tuple[str, ...]
    retried: str
    unnamed: str
    end: str


# Of no server: what has it in a scratch server came without a GTID.
_UNNAMED: Final = "6261636b-7374-6179-0000-000000000001"
_ANY = (
    "--event-scheduler=OFF",
    # A session may have switched it off: what was done with it is done without, too, and not the other way round.
    "--innodb-strict-mode=OFF",
    # So may it have had more room for tables in memory: what went in goes in again.
    "--max-heap-table-size=1099511627776",
    # Else events of a source with the same server id are passed over, and the position looks right.
    "--replicate-same-server-id=1",
    # What is in the system schema is the scratch server's own.
    "--replicate-wild-ignore-table=mysql.%",
    "--relay-log=relay",
    "--relay-log-index=relay.index",
    "--relay-log-purge=0",  # they are read once more when events were replayed
)
# Sources: https://mariadb.com/kb/en/change-master-to, /show-replica-status, /gtid#gtid_slave_pos.
# Without MASTER_LOG_FILE a parallel applier of 10.11 crashes; it is one applier, and named all the same.
MARIADB: Final = Replication(
    options=(*_ANY, "--skip-slave-start", "--slave-parallel-threads=0"),
    place=(
        "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_USER = 'nobody',"
        " MASTER_LOG_FILE = {file}, MASTER_LOG_POS = {position}, MASTER_USE_GTID = no,"
        " RELAY_LOG_FILE = 'relay.000001', RELAY_LOG_POS = {relay_position}"
    ),
    start="START SLAVE SQL_THREAD",
    status="SHOW ALL SLAVES STATUS",
    is_running="Slave_SQL_Running",
    state="Slave_SQL_Running_State",
    source_file="Relay_Master_Log_File",
    source_position="Exec_Master_Log_Pos",
    applied="@@GLOBAL.gtid_slave_pos",
    # Of GTIDs it tells the newest, whatever came before it.
    taken=("Slave_DDL_Groups", "Slave_Non_Transactional_Groups", "Slave_Transactional_Groups"),
    retried="Retried_transactions",
    unnamed="",
    end="STOP SLAVE SQL_THREAD",
)
# Sources: https://dev.mysql.com/doc/refman/8.4/en/change-replication-source-to.html,
# /replication-gtids-assign-anon.html: a transaction keeps its GTID, one without gets the next of our own; that
# needs ON, which takes them only thus. Statements that a server with GTIDs refuses are replayed all the same.
MYSQL: Final = Replication(
    options=(*_ANY, "--skip-replica-start", "--gtid-mode=ON", "--enforce-gtid-consistency=ON"),
    place=(
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_USER = 'nobody',"
        f" ASSIGN_GTIDS_TO_ANONYMOUS_TRANSACTIONS = '{_UNNAMED}',"
        " RELAY_LOG_FILE = 'relay.000001', RELAY_LOG_POS = {relay_position}"
    ),
    start="START REPLICA SQL_THREAD",
    status="SHOW REPLICA STATUS",
    is_running="Replica_SQL_Running",
    state="Replica_SQL_Running_State",
    source_file="Relay_Source_Log_File",
    source_position="Exec_Source_Log_Pos",
    applied="@@GLOBAL.gtid_executed",
    taken=(),
    retried="",
    unnamed=_UNNAMED,
    end="STOP REPLICA SQL_THREAD",
)
