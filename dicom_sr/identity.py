"""UIDs that follow from what they name: the same input gives the same UID, on any machine, in any process."""

import hashlib
import uuid
from dataclasses import dataclass

from dicom_sr.errors import InvalidResult


def derive_uid(*parts: str) -> str:
    """Return the UID that `parts` stand for: "2.25." and a UUID as a decimal number (PS3.5 B.2), 44 characters at most.

    The UUID is of version 8 (RFC 9562 5.8): SHA-256 over the parts, each preceded by its length in bytes, so that
    ("ab", "c") and ("a", "bc") differ. Raises InvalidResult without parts.

    >>> derive_uid("series", "1")
    '2.25.267789653459342015850967670595833441878'
    """
    if not parts:
        raise InvalidResult("a UID is derived from at least one part")
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    octets = bytearray(digest.digest()[:16])
    octets[6] = 0x80 | (octets[6] & 0x0F)
    octets[8] = 0x80 | (octets[8] & 0x3F)
    return f"2.25.{uuid.UUID(bytes=bytes(octets)).int}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultIdentity:
    """What determines a result. Equal identities give equal UIDs, and one changed part gives new ones.

    `series_digest`, `bundle_digest`, `settings_digest`: any text that changes with the bytes of the source series,
    with the model and with the settings; `software_version` of what computed the result.
    """

    series_digest: str
    bundle_digest: str
    settings_digest: str
    software_version: str

    def uid(self, *purpose: str) -> str:
        """Return the UID of the result for a purpose, such as `("seg", "instance")` or `("tracking", "3")`."""
        return derive_uid(self.series_digest, self.bundle_digest, self.settings_digest, self.software_version, *purpose)

    def device_uid(self) -> str:
        """Return the Device UID (0018,1002): it changes with the software and the model, not with the patient."""
        return derive_uid("device", self.software_version, self.bundle_digest, self.settings_digest)
