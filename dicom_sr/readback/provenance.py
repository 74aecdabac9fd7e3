"""Whether an instance is a result of ours."""

from pydicom.dataset import Dataset

from dicom_sr.equipment import processing_models


def is_own_result(header: Dataset, model_name: str) -> bool:
    """Return whether equipment of this model made or processed the instance (PS3.3 C.7.5.1, C.12.1).

    A node asks this of what it receives, so as never to take a result for a source.
    """
    return model_name in processing_models(header)
