"""cspine-node: a DICOM node that segments the cervical spine in sagittal T2 MR."""

__version__ = "0.1.0"
