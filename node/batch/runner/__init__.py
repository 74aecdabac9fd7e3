"""Many cases on many processes: Dask computes, the ledger on the disk alone knows what is done."""
