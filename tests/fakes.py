"""Objects and peers made on the spot."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context
from pynetdicom.transport import ThreadedAssociationServer

#: What must never be seen outside the spool.
CANARY = "ZZSECRET^NAME"


def mr_image(number: int = 1, *, series: str = "1.2.3", syntax: str = ExplicitVRLittleEndian) -> Dataset:
    """Return an MR image of 4 x 4 pixels; its patient has the name of the canary."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{series}.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2", series
    ds.PatientName, ds.PatientID, ds.Modality = CANARY, CANARY, "MR"
    ds.Rows = ds.Columns = 4
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = bytes(32)
    ds["PixelData"].VR = "OW"
    return ds


def save(ds: Dataset, path: Path) -> Path:
    """Write a data set as a DICOM file and return its path."""
    ds.save_as(path, enforce_file_format=True)
    return path


@contextlib.contextmanager
def storage_scp(
    on_store: Callable[[Any], int],
    contexts: Sequence[tuple[str, Sequence[str]]] = ((MRImageStorage, (ExplicitVRLittleEndian,)),),
    *,
    configure: Callable[[AE], None] = lambda ae: None,
    more_handlers: Sequence[tuple[Any, Callable[[Any], int]]] = (),
) -> Iterator[int]:
    """Run a stock storage SCP on a free loopback port, and yield the port."""
    ae = AE(ae_title="ARCHIVE")
    ae.supported_contexts = [build_context(abstract, list(syntaxes)) for abstract, syntaxes in contexts]
    configure(ae)
    handlers = [(evt.EVT_C_STORE, on_store), *more_handlers]
    server = ae.make_server(("127.0.0.1", 0), evt_handlers=handlers, server_class=ThreadedAssociationServer)
    ae._servers.append(server)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()  # stock looks every 0.5 s
    try:
        yield server.server_address[1]
    finally:
        ae.shutdown()
