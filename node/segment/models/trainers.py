"""nnU-Net's own trainers that leave the network and its inference as the plans say: their weights fit the plans.

Read off `nnunetv2/training/nnUNetTrainer` of 2.8: every class but those that build another network (BN, Primus). The
node never imports a trainer; a name outside the list says that somebody may have changed more than the weights show.
"""

import re

from node.errors import ModelRefused
from node.segment.models.planfile import shortened

_NAMES = frozenset(
    {
        "nnUNetTrainer",
        "nnUNetTrainerAdam",
        "nnUNetTrainerAdam1en3",
        "nnUNetTrainerAdam3en4",
        "nnUNetTrainerAdan",
        "nnUNetTrainerAdan1en1",
        "nnUNetTrainerAdan1en3",
        "nnUNetTrainerAdan3en4",
        "nnUNetTrainerAdanCosAnneal",
        "nnUNetTrainerBenchmark_5epochs",
        "nnUNetTrainerBenchmark_5epochs_noDataLoading",
        "nnUNetTrainerCELoss",
        "nnUNetTrainerCELoss_5epochs",
        "nnUNetTrainerCosAnneal",
        "nnUNetTrainerDA5",
        "nnUNetTrainerDA5_10epochs",
        "nnUNetTrainerDA5Segord0",
        "nnUNetTrainerDA5ord0",
        "nnUNetTrainerDiceCELoss_noSmooth",
        "nnUNetTrainerDiceLoss",
        "nnUNetTrainerDiceTopK10Loss",
        "nnUNetTrainerNoDA",
        "nnUNetTrainerNoDeepSupervision",
        "nnUNetTrainerNoMirroring",
        "nnUNetTrainerTopk10Loss",
        "nnUNetTrainerTopk10LossLS01",
        "nnUNetTrainerVanillaAdam",
        "nnUNetTrainerVanillaAdam1en3",
        "nnUNetTrainerVanillaAdam3en4",
        "nnUNetTrainer_DASegOrd0",
        "nnUNetTrainer_DASegOrd0_NoMirroring",
        "nnUNetTrainer_noDummy2DDA",
        "nnUNetTrainer_onlyMirror01",
        "nnUNetTrainer_onlyMirror01_1500ep",
        "nnUNetTrainer_onlyMirror01_DA5",
        "nnUNetTrainer_onlyMirror01_DASegOrd0",
        "nnUNetTrainer_probabilisticOversampling",
        "nnUNetTrainer_probabilisticOversampling_010",
        "nnUNetTrainer_probabilisticOversampling_033",
        "nnUNetTrainer_warmup",
        "nnUNet_Trainer_BS8",
    }
)
#: nnU-Net has some of these; sites write the same with other numbers.
_LENGTHS = re.compile(r"nnUNetTrainer_[0-9]{1,6}epochs?(_NoMirroring)?")


def check_trainer(name: str) -> None:
    """Refuse a trainer that may have changed the network. Raises ModelRefused.

    >>> check_trainer("nnUNetTrainer_250epochs")
    """
    if name not in _NAMES and not _LENGTHS.fullmatch(name):
        raise ModelRefused(
            shortened(f"trainer {name!r} is not one of nnU-Net's that leave the network as planned: not allowed")
        )
