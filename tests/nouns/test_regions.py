import numpy as np
import pytest

from assay.basics.errors import InputError
from assay.nouns.inputs.regions import in_boxes


def test_a_pixel_is_inside_when_its_middle_is() -> None:
    (mask,) = in_boxes([[(0.4, 1.0, 2.6, 2.0)]], 3, 4)
    assert np.argwhere(mask).tolist() == [[1, 0], [1, 1], [1, 2]]
    (mask,) = in_boxes([[(0.6, 1.0, 2.4, 2.0)]], 3, 4)
    assert np.argwhere(mask).tolist() == [[1, 1]]


def test_several_boxes_are_joined_and_cut_at_the_edge() -> None:
    mask, none = in_boxes([[(-5, -5, 1, 1), (3, 2, 9, 9)], []], 3, 4)
    assert np.argwhere(mask).tolist() == [[0, 0], [2, 3]]
    assert not none.any()


@pytest.mark.parametrize("box", [(3, 0, 1, 2), (0, 0, 1), (0, 0, float("nan"), 1)])
def test_what_is_no_box_is_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="row 1"):
        in_boxes([[], [box]], 4, 4)
