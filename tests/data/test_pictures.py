"""Small pictures of prepared images."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.common.errors import UserError
from pipeline.data.pictures import read_pictures
from tests.support.photographs import photographs


def test_photographs_are_made_small(tmp_path):
    words = f"prepare-dataset --dataset image_folder --image-size 96 --storage jpeg --train {tmp_path / 'train.h5'}"
    images = ["--path", str(photographs(tmp_path / "photos")), "--test", str(tmp_path / "test.h5")]
    assert main([*words.split(), *images]) == 0
    first, second = (Image.open(io.BytesIO(data)) for data in read_pictures(tmp_path / "test.h5", [3, 0]))
    assert first.format == "PNG" and first.mode == "RGB"
    assert max(first.size) == max(second.size) == 64
    assert not np.array_equal(np.asarray(first.resize((8, 8))), np.asarray(second.resize((8, 8))))
    assert read_pictures(tmp_path / "test.h5", []) == []


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="there is no"):
        read_pictures(tmp_path / "test.h5", [0])
