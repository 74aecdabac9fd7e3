"""Frames of enhanced multi-frame objects, from their functional groups (PS3.3 C.7.6.16, C.8.13.5)."""

from dataclasses import replace

from node.assemble.planes import with_plane, with_rescale
from node.assemble.values import Elements
from node.domain.series import Frame, FrameTraits, SeriesHeader

_ECHO_PULSE = {"SPIN": ("SE",), "GRADIENT": ("GR",), "BOTH": ("SE", "GR")}
_EMPTY = Elements(little=True)


class _Groups:
    """The functional groups of one frame: its own item first, then the shared one (PS3.3 C.7.6.16.1)."""

    def __init__(self, own: Elements, shared: Elements) -> None:
        self._levels = (own, shared)

    def group(self, keyword: str) -> Elements:
        for level in self._levels:
            for item in level.items(keyword):
                return item
        return _EMPTY


def _groups(elements: Elements) -> list[_Groups]:
    shared = next(iter(elements.items("SharedFunctionalGroupsSequence")), _EMPTY)
    return [_Groups(own, shared) for own in elements.items("PerFrameFunctionalGroupsSequence")]


def group_of_frame(elements: Elements, frame_number: int | None, keyword: str) -> Elements:
    """Return a functional group of a frame, empty where it has none; of a classic object the elements themselves."""
    groups = _groups(elements)
    if not groups or frame_number is None:
        return elements
    return groups[frame_number - 1].group(keyword) if frame_number <= len(groups) else _EMPTY


def enhanced_frames(elements: Elements, first: Frame, number_of_frames: int) -> tuple[Frame, ...]:
    """Return the frames in stored order. One that has no functional groups of its own comes without geometry."""
    groups = _groups(elements)
    frames = []
    for index in range(number_of_frames):
        frame = with_rescale(replace(first, frame_number=index + 1), elements)
        frames.append(_frame(frame, groups[index], elements) if index < len(groups) else frame)
    return tuple(frames)


def _frame(frame: Frame, groups: _Groups, elements: Elements) -> Frame:
    for keyword in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"):
        frame = with_plane(frame, groups.group(keyword))
    frame = with_rescale(frame, groups.group("PixelValueTransformationSequence"))
    content = groups.group("FrameContentSequence")
    trigger = groups.group("CardiacSynchronizationSequence")
    traits = FrameTraits(
        echo_time_ms=groups.group("MREchoSequence").number("EffectiveEchoTime"),
        inversion_time_ms=groups.group("MRModifierSequence").number("InversionTimes"),
        diffusion_b_value=groups.group("MRDiffusionSequence").number("DiffusionBValue"),
        temporal_position=content.whole("TemporalPositionIndex"),
        trigger_time_ms=trigger.number("NominalCardiacTriggerDelayTime"),
        acquisition_number=content.whole("FrameAcquisitionNumber") or elements.whole("AcquisitionNumber"),
        acquired_at=content.text("FrameAcquisitionDateTime") or elements.text("AcquisitionDateTime"),
        image_type=groups.group("MRImageFrameTypeSequence").texts("FrameType") or elements.texts("ImageType"),
    )
    return replace(frame, traits=traits)


def enhanced_header(elements: Elements, header: SeriesHeader) -> SeriesHeader:
    """Return `header` with what an enhanced object keeps in functional groups and coded terms (PS3.3 C.8.13.4)."""
    groups = _groups(elements)[0]
    timing = groups.group("MRTimingAndRelatedParametersSequence")
    sequence = list(_ECHO_PULSE.get(elements.text("EchoPulseSequence") or "", ()))
    sequence += ["EP"] if elements.text("EchoPlanarPulseSequence") == "YES" else []
    modifier = groups.group("MRModifierSequence")
    sequence += ["IR"] if modifier.text("InversionRecovery") == "YES" else []
    fat_suppressed = (elements.text("SpectrallySelectedSuppression") or "NONE").startswith("FAT")
    region = next(iter(groups.group("FrameAnatomySequence").items("AnatomicRegionSequence")), _EMPTY)
    return replace(
        header,
        body_part_examined=header.body_part_examined or region.text("CodeMeaning", elements.encoding()),
        echo_time_ms=_first(groups.group("MREchoSequence").number("EffectiveEchoTime"), header.echo_time_ms),
        repetition_time_ms=_first(timing.number("RepetitionTime"), header.repetition_time_ms),
        inversion_time_ms=_first(modifier.number("InversionTimes"), header.inversion_time_ms),
        echo_train_length=timing.whole("RFEchoTrainLength") or timing.whole("EchoTrainLength"),
        scanning_sequence=header.scanning_sequence or tuple(sequence),
        scan_options=header.scan_options or (("FS",) if fat_suppressed else ()),
        sequence_name=header.sequence_name or elements.text("PulseSequenceName", elements.encoding()),
    )


def _first(value: float | None, otherwise: float | None) -> float | None:
    return otherwise if value is None else value
