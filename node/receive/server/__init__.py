"""The DICOM upper layer server: pynetdicom's association, state machine and services, on a reactor of its own.

A connection has one thread, that waits in poll and is woken by an eventfd. Fragments of a C-STORE go straight from the
socket to the spool, and the C-STORE is answered in the same thread. All else is done by pynetdicom. Lengths and times
are limited before anything is allocated.
"""
