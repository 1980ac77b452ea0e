"""The release record: what a gate decided and on what, kept to be signed, verified and compared."""

from safemlrm.release.facts import RunFacts, facts_of
from safemlrm.release.files import (
    RECORD_NAME,
    checksum_of,
    read_record,
    write_record,
)
from safemlrm.release.form import CellOutcomes, ReleaseRecord
from safemlrm.release.making import make_record
from safemlrm.release.outcomes import result_of
from safemlrm.release.settings import same_folder
from safemlrm.release.verify import Verified, verify

__all__ = [
    "RECORD_NAME",
    "CellOutcomes",
    "ReleaseRecord",
    "RunFacts",
    "Verified",
    "checksum_of",
    "facts_of",
    "make_record",
    "read_record",
    "result_of",
    "same_folder",
    "verify",
    "write_record",
]
