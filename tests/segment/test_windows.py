"""The sliding window, against nnU-Net's own, with a cheap function in place of the network."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from node.errors import EngineError
from node.segment.nnunet.windows import Window, logits

CLASSES = 3


def network(tiles: torch.Tensor) -> torch.Tensor:
    """Return something that depends on the place in the tile, so that borders and mirrors matter, and on no neighbour
    in the batch, so that it can be told to the last bit.
    """
    slope = torch.linspace(0, 1, tiles.shape[-1]) + torch.linspace(0, 2, tiles.shape[-2])[:, None]
    return torch.cat([tiles * (number + 1.37) + slope * number for number in range(CLASSES)], dim=1)


def official(image: torch.Tensor, window: Window) -> torch.Tensor:
    predictor = nnUNetPredictor(
        device=torch.device("cpu"), allow_tqdm=False, use_mirroring=bool(window.mirror_axes), verbose=False
    )
    predictor.network = torch.nn.Module()
    predictor.network.forward = network  # type: ignore[method-assign]
    predictor.configuration_manager = SimpleNamespace(patch_size=list(window.patch))
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=CLASSES)
    predictor.allowed_mirroring_axes = window.mirror_axes or None
    return predictor.predict_sliding_window_return_logits(image[None])


CASES = [
    ((3, 40, 50), (32, 32), ()),
    ((3, 40, 50), (32, 32), (0, 1)),
    ((3, 20, 50), (32, 32), (1,)),
    ((3, 20, 21), (32, 32), (0,)),
    ((9, 40, 50), (8, 32, 32), ()),
    ((5, 40, 30), (8, 32, 32), (0, 1, 2)),
    ((20, 33, 64), (8, 32, 32), (0, 2)),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("shape", "patch", "axes"), CASES)
@pytest.mark.parametrize("batch", [1, 3, 64])
def test_it_gives_the_logits_of_nnu_net(shape, patch, axes, batch) -> None:
    image = torch.randn(shape, generator=torch.Generator().manual_seed(7))
    window = Window(patch=patch, heads=CLASSES, mirror_axes=axes)
    found = logits(image, window, network, batch)
    assert found.dtype == torch.half
    assert found.shape == (CLASSES, *shape)
    assert torch.equal(found, official(image, window))


def test_no_more_tiles_are_given_at_a_time_than_asked_for() -> None:
    given: list[int] = []

    def counting(tiles: torch.Tensor) -> torch.Tensor:
        given.append(len(tiles))
        return network(tiles)

    window = Window(patch=(32, 32), heads=CLASSES, mirror_axes=(0, 1))
    for batch in (1, 3, 4, 9):
        given.clear()
        logits(torch.randn(3, 40, 50), window, counting, batch)
        assert max(given) <= batch
        assert sum(given) == window.tiles((3, 40, 50)) * 4


@pytest.mark.parametrize("axes", [(), (0,), (1, 2), (0, 1, 2)])
def test_the_mirrors_are_all_sets_of_the_axes(axes) -> None:
    sets = Window(patch=(8, 8, 8), heads=2, mirror_axes=axes).mirrors()
    assert sets[0] == ()
    assert set(sets) == {chosen for count in range(len(axes) + 1) for chosen in itertools.combinations(axes, count)}
    assert len(sets) == 2 ** len(axes)


def test_logits_that_outgrow_float16_are_an_error() -> None:
    window = Window(patch=(8, 8), heads=1, mirror_axes=())
    with pytest.raises(EngineError, match="float16"):
        logits(torch.ones(1, 8, 8), window, lambda tiles: tiles * 1e5, 1)
