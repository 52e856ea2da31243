"""Certificates: how long they are good."""

from datetime import datetime
from pathlib import Path

from cryptography import x509

from app.errors import InvalidRequestError
from app.named_files import read_named


def expires_at(file: Path) -> datetime:
    """
    Read when the first certificate of a file expires; the intermediate ones in it count as well.

    Args:
        file: PEM.

    Returns:
        Aware UTC instant.

    Raises:
        InvalidRequestError: It cannot be read, or holds no certificate; named without its directory.
    """
    try:
        certificates = x509.load_pem_x509_certificates(read_named(file).data)
    except (OSError, ValueError) as exc:
        raise InvalidRequestError(
            f"{file.name}: cannot be read as a certificate", hint="--tls-cert names a PEM file."
        ) from exc
    return min(certificate.not_valid_after_utc for certificate in certificates)
