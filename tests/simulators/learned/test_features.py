import json

import numpy as np
import polars as pl
import pytest

from recgym.data.features import Category, FeatureEncoder, Numeric, Tags
from recgym.simulators.learned.calibration import calibrate

FRAME = pl.DataFrame(
    {
        "age": [20.0, None, 40.0, 60.0],
        "code": [1, 2, 2, 1],
        "country": ["dk", "se", None, "dk"],
        "genres": [["a", "b"], ["b"], None, []],
        "constant": [1, 1, 1, 1],
    }
)


def test_each_column_gets_the_encoder_that_suits_it() -> None:
    encoder = FeatureEncoder.fit(FRAME)
    assert [type(column) for column in encoder.columns] == [Numeric, Category, Category, Tags]
    assert encoder.ignored == ("constant",)
    assert encoder.width == 2 + 3 + 3 + 2
    matrix = encoder.encode(FRAME, 4)
    np.testing.assert_allclose(matrix[:, 0], [-1, 0, 0, 1], atol=1e-6)
    assert matrix[:, 1].tolist() == [0, 1, 0, 0], "a null sets the indicator"
    assert matrix[:, 2:5].tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert matrix[2, 5:8].tolist() == [0, 0, 1]
    assert matrix[:, 8:].tolist() == [[1, 1], [0, 1], [0, 0], [0, 0]]


def test_other_frames_are_encoded_alike_whatever_they_lack() -> None:
    encoder = FeatureEncoder.from_json(json.loads(json.dumps(FeatureEncoder.fit(FRAME).to_json())))
    assert encoder == FeatureEncoder.fit(FRAME)
    other = pl.DataFrame({"country": ["no", "dk"], "extra": [1, 2]})
    matrix = encoder.encode(other, 2)
    assert matrix[:, 1].tolist() == [1, 1], "a missing column reads as null"
    assert matrix[:, 5:8].tolist() == [[0, 0, 1], [1, 0, 0]], "an unknown value reads as null"
    np.testing.assert_array_equal(encoder.encode(None, 2)[0], encoder.encode(None, 2)[1])
    assert FeatureEncoder.fit(None).encode(None, 3).shape == (3, 0)


def test_calibration_recovers_scale_and_shift() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, 50_000).astype(np.float32)
    labels = generator.random(50_000) < 1 / (1 + np.exp(-(0.6 * logits - 0.8)))
    assert calibrate(logits, labels) == pytest.approx((0.6, -0.8), abs=0.05)


def test_calibration_leaves_alone_what_it_cannot_judge() -> None:
    assert calibrate(np.zeros(100, dtype=np.float32), np.zeros(100, dtype=bool)) == (1.0, 0.0)
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, 1000).astype(np.float32)
    assert calibrate(logits, generator.random(1000) < 1 / (1 + np.exp(logits)))[0] > 0, "never turns the order round"
