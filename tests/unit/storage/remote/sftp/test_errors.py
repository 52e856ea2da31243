"""What the SSH library raises, as errors of this program."""

import asyncssh
import pytest
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED, OPEN_CONNECT_FAILED

from app.errors import StorageDeniedError, StorageUnavailableError
from app.storage.remote.codes import Act
from app.storage.remote.sftp.errors import translated


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (OPEN_CONNECT_FAILED, StorageUnavailableError),
        (OPEN_ADMINISTRATIVELY_PROHIBITED, StorageDeniedError),
    ],
)
def test_a_cut_while_sftp_is_asked_for_is_no_refusal(code, error):
    """It is tried again, where a server without SFTP would be no better the next time."""
    with pytest.raises(error), translated("data", Act.READ):
        raise asyncssh.ChannelOpenError(code, "SSH connection closed")
