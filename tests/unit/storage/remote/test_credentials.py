"""Secrets of stores: from a variable or a file, and never shown."""

import pytest

from app.errors import InvalidRequestError, StorageError
from app.storage.remote.credentials import read_certificates, read_secret
from app.storage.remote.definitions import GcsDefinition


VARIABLES = {"SET": " hush \n", "EMPTY": " "}


def secret(**where):
    """Read the secret of a store that names it so."""
    definition = GcsDefinition(kind="gcs", bucket="b", **where)
    return read_secret("x", definition, VARIABLES.get)


def test_a_secret_comes_from_where_its_definition_says(tmp_path):
    """Without white space around it; none where none is named."""
    file = tmp_path / "secret"
    file.write_text("hush\n")
    file.chmod(0o640)

    assert secret(secret_env="SET") == "hush"
    assert secret(secret_file=file) == "hush"
    assert secret() == ""


def test_a_secret_that_is_missing_is_told_by_where_it_should_be(tmp_path):
    """A variable that is not set or empty, a file that is not there, empty, or no text."""
    for variable in ("UNSET", "EMPTY"):
        with pytest.raises(InvalidRequestError, match=f"store x: the variable {variable} is not"):
            secret(secret_env=variable)
    with pytest.raises(StorageError, match="nothing: no such file"):
        secret(secret_file=tmp_path / "nothing")
    for content, message in ((b" \n", "is empty"), (b"\xff", "is no text")):
        file = tmp_path / "secret"
        file.write_bytes(content)
        file.chmod(0o600)
        with pytest.raises(InvalidRequestError, match=message):
            secret(secret_file=file)


def test_a_file_without_certificates_is_told(tmp_path):
    """They are no secret, so anybody may read it; where none is named there are none."""
    file = tmp_path / "ca.pem"
    file.write_text("nothing of the kind")
    with pytest.raises(InvalidRequestError, match=r"no certificate in ca\.pem"):
        read_certificates("x", file)
    assert read_certificates("x", None) == ""


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    """It is no secret any more."""
    file = tmp_path / "secret"
    file.write_text("hush")
    file.chmod(mode)
    with pytest.raises(InvalidRequestError, match="others may read secret") as caught:
        secret(secret_file=file)
    assert "hush" not in f"{caught.value} {caught.value.hint}"
