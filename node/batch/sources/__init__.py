"""Where the items of a batch come from: `WorkItem`s, in an order that follows from the input alone, one at a time.

paths       DICOM folders, files and zips, and NIfTI images, found by a scan
exams       the exams of the CSpineSeg download, from its manifest
query       the series that an archive has (C-FIND); each worker fetches its own (C-GET)

A source holds paths and UIDs only, so it is small to pickle, and a worker on another host that sees the same files can
load it.
"""
