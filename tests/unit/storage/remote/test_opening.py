"""Stores are opened without asking anything of them; what is not installed is told."""

import subprocess
import sys

import asyncssh
import pytest

from app.errors import InvalidRequestError
from app.storage.remote.definitions import (
    AzureDefinition,
    GcsDefinition,
    S3Definition,
    SftpDefinition,
)
from app.storage.remote.opening import open_store


VARIABLES = {"SECRET": "hush hush"}
S3 = S3Definition(kind="s3", bucket="b", access_key="k", secret_env="SECRET")
GCS = GcsDefinition(kind="gcs", bucket="b", secret_env="SECRET")
AZURE = AzureDefinition(kind="azure", container="b", account="a", secret_env="SECRET")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+HBPkVWrIB/pwhO7XJpHwJZE4rjDTKn5Yd3qbMBrrJ"
SFTP = SftpDefinition(kind="sftp", host="h", user="u", path="/p", host_key=KEY, secret_env="SECRET")


@pytest.mark.parametrize("definition", [S3, SFTP], ids=lambda definition: definition.kind)
def test_nothing_is_asked_of_a_store_that_is_opened(definition):
    """Its host need not even exist."""
    open_store("x", definition, VARIABLES.get).close()


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (GCS, "store x: its secret is not the JSON of a service account"),
        (AZURE, "the secret of the store, or a setting of it, makes no sense"),
        (SFTP.model_copy(update={"host_key": ("hush",)}), "store x: host_key is no public key"),
        (S3.model_copy(update={"secret_env": "UNSET"}), "store x: the variable UNSET is not set"),
    ],
)
def test_a_secret_that_is_none_is_told_and_not_shown(definition, message):
    """Before anything is asked of the store."""
    with pytest.raises(InvalidRequestError) as caught:
        open_store("x", definition, VARIABLES.get)

    assert message in str(caught.value)
    assert caught.value.hint
    assert "hush" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


def test_a_private_key_that_is_none_is_told(tmp_path):
    """Or whose passphrase is another."""
    file = tmp_path / "id_ed25519"
    file.write_text("hush")
    file.chmod(0o600)
    with pytest.raises(InvalidRequestError, match="id_ed25519 is no private key") as caught:
        open_store("x", SFTP.model_copy(update={"key_file": file}), VARIABLES.get)
    assert "hush" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


@pytest.mark.parametrize("mode", [0o604, 0o644])
def test_a_private_key_that_others_may_read_is_refused(tmp_path, mode):
    """It is no secret any more, as ssh itself thinks."""
    file = tmp_path / "id_ed25519"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(file))
    definition = SFTP.model_copy(update={"key_file": file})
    file.chmod(mode)
    with pytest.raises(InvalidRequestError, match="others may read id_ed25519"):
        open_store("x", definition, VARIABLES.get)
    file.chmod(0o640)
    open_store("x", definition, VARIABLES.get).close()


_LIBRARIES = "{'obstore', 'botocore', 'asyncssh'}"


def _run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_of_it_is_imported_before_a_store_is_opened():
    """A command that lists stores, and the whole service, wait for none of the libraries."""
    code = f"import sys, app.cli.commands.store, app.main; print({_LIBRARIES} & set(sys.modules))"

    assert _run(code).strip() == "set()"


@pytest.mark.parametrize(("definition", "module"), [(S3, "obstore"), (SFTP, "asyncssh")])
def test_what_is_not_installed_is_told_with_how_to_get_it(definition, module):
    """The extra is named; a directory needs none."""
    code = f"""
import sys
sys.modules[{module!r}] = None
from app.errors import InvalidRequestError
from app.storage.remote.definitions import KINDS
from app.storage.remote.opening import open_store
definition = KINDS[{definition.kind!r}].model_validate_json({definition.model_dump_json()!r})
try:
    open_store("x", definition, {{"SECRET": "hush"}}.get)
except InvalidRequestError as exc:
    print(exc, exc.hint)
"""
    told = _run(code)

    assert f"{module} is not installed" in told
    assert "pip install 'backstay[stores]'" in told
