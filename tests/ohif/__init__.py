"""OHIF, a viewer that many hospitals have, beside an archive that holds what the node made."""
