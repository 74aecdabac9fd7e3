"""Many series at once, from files and archives.

offline     what `cspine-node segment` does: series in folders and zips, one after the other
midrc/      the public CSpineSeg download: what is there, what belongs together, what is wrong with it
sources/    where the items of a batch come from: DICOM trees, zips, NIfTI, the download, a query to an archive
runner/     many cases on many processes (Dask), with a ledger on the disk
masks/      masks that somebody made, as SEG and SR on their series
sending/    the results of a batch to an archive
evaluate/   label maps against references: metrics, levels, statistics
report/     what evaluate found, as a page in one file
"""
