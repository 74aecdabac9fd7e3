"""Taking instances: the listener, the spool, and just enough of a header to know what arrived."""
