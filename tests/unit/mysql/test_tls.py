"""What ssl_mode asks for is decided before anything is sent."""

import ssl

import pytest

from app.mysql.refusals import Refusal
from app.mysql.tls import TlsMode, read_tls
from tests.fixtures.certificates import make_certificates


MUST = [TlsMode.REQUIRED, TlsMode.VERIFY_CA, TlsMode.VERIFY_IDENTITY]


def _authority(tmp_path, mode) -> dict[str, str]:
    """Name the authority where one must be named: any of the machine's would do for any host there."""
    if mode is not TlsMode.VERIFY_CA:
        return {}
    return {"ssl_ca": str(make_certificates(tmp_path / "good", "127.0.0.1").ca)}


@pytest.mark.parametrize("mode", TlsMode)
@pytest.mark.parametrize("offered", [True, False])
@pytest.mark.parametrize("local", [True, False])
def test_modes(tmp_path, mode, offered, local):
    """Encrypted, in the clear or refused: what the vendors' clients do."""
    tls = read_tls({"ssl_mode": mode.lower(), **_authority(tmp_path, mode)})
    if mode in MUST and not offered:
        with pytest.raises(Refusal, match=f"ssl_mode is {mode}'"):
            tls.context_for(offered=offered, local=local)
        return
    wanted = mode in MUST or (mode is TlsMode.PREFERRED and offered and not local)

    assert (tls.context_for(offered=offered, local=local) is not None) is wanted


def test_defaults(tmp_path):
    """PREFERRED with nothing, VERIFY_IDENTITY with an authority."""
    ca = str(make_certificates(tmp_path / "good", "127.0.0.1").ca)

    assert read_tls({}).mode is TlsMode.PREFERRED
    assert read_tls({"ssl_ca": ca}).mode is TlsMode.VERIFY_IDENTITY
    assert read_tls({"ssl_ca": ca, "ssl_mode": "VERIFY_CA"}).mode is TlsMode.VERIFY_CA


@pytest.mark.parametrize("mode", MUST)
def test_what_each_verifies(tmp_path, mode):
    """Nothing, the authority, or the authority and the name."""
    context = read_tls({"ssl_mode": mode, **_authority(tmp_path, mode)}).context

    assert context is not None
    assert context.check_hostname is (mode is TlsMode.VERIFY_IDENTITY)
    assert (context.verify_mode == ssl.CERT_REQUIRED) is (mode is not TlsMode.REQUIRED)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ssl_mode": "MAYBE"}, "'MAYBE' is unknown"),
        ({"ssl_mode": ""}, "'' is unknown"),
        ({"ssl_ca": "/nothing"}, "ssl_ca"),
        ({"ssl_ca": "/nothing", "ssl_mode": "REQUIRED"}, "ssl_ca"),
        ({"ssl_cert": "/nothing"}, "ssl_cert"),
        ({"ssl_key": "/nothing"}, "ssl_key without ssl_cert"),
        ({"ssl_mode": "VERIFY_CA"}, "VERIFY_CA needs ssl_ca"),
    ],
)
def test_what_makes_no_sense_is_told(options, message):
    """A mode that nobody knows and files that are not there, before any connection."""
    with pytest.raises(ValueError, match=message):
        read_tls(options)
