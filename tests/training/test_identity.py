"""What a training was done with, compared with what is asked for."""

import pytest

from pipeline import METHOD_VERSION
from pipeline.common.errors import UserError
from pipeline.networks.spec import NetworkSpec
from pipeline.training.identity import check_asked, disagreements, row_seed, said_of, training_identity
from pipeline.training.settings import TrainingSettings


def identity(**more):
    spec = NetworkSpec("vgg_small", (1.0,) * 6, base_width=0.5, **more)
    settings = TrainingSettings(epochs=2, batch_size=50, learning_rate=0.1, schedule="milestones", milestones=(1,))
    where = {"seed": 3, "images": "a" * 64, "subset": None, "execution": ["cpu", "float32", 1, "torch"]}
    return training_identity(spec, settings, **where)


def test_an_identity_agrees_with_all_of_itself():
    assert disagreements(identity(), identity()) == []
    assert disagreements(identity(), {}) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"seed": 4}, "seed 3 in place of 4"),
        ({"settings": {"milestones": [1, 2]}}, "milestones 1 in place of 1,2"),
        ({"settings": {"learning_rate": 0.2}}, "learning_rate 0.1 in place of 0.2"),
        ({"images": "b" * 64}, f"images {'a' * 20} in place of {'b' * 20}"),
        ({"network": {"genome": [1, 1, 1, 1, 1, 2]}}, "genome 1,1,1,1,1,1 in place of 1,1,1,1,1,2"),
        ({"network": {"binary": False}}, "binary True in place of False"),
        ({"network": {"binariser": "other"}}, "binariser dorefa in place of other"),
        ({"binariser": "0a"}, "binariser  in place of 0a"),
        ({"method": 0}, f"method {METHOD_VERSION} in place of 0"),
    ],
)
def test_what_differs_is_named(asked, said):
    assert disagreements(identity(), asked) == [said]
    with pytest.raises(UserError, match=r"w\.h5 comes from another training .*; seed 3 in place of 9|\(.*\): .*again"):
        check_asked(identity(), {**asked, "network": asked.get("network", {})}, "w.h5")


@pytest.mark.parametrize(
    ("had", "asked", "said"),
    [
        ({"optimizer": "adam"}, {}, "optimizer adam in place of sgd"),
        ({}, {"optimizer": "adam"}, "optimizer sgd in place of adam"),
        ({"binary_weight_decay": 0.0}, {}, "binary_weight_decay 0.0 in place of off"),
        ({}, {"binary_weight_decay": 0.0}, "binary_weight_decay off in place of 0.0"),
        ({"real_weight_epochs": 1}, {}, "real_weight_epochs 1 in place of 0"),
        ({"optimizer": "adam"}, {"optimizer": None}, None),
    ],
)
def test_what_came_later_counts_where_it_is_not_said(had, asked, said):
    settings = {"epochs": 2}
    found, wanted = {"settings": {**settings, **had}}, {"settings": {**settings, **asked}}
    assert disagreements(found, wanted) == ([said] if said else [])


def test_a_teacher_counts():
    teacher = {"teacher": "d" * 64, "teacher_weight": 0.5}
    spec, settings = NetworkSpec("vgg_small", (1.0,) * 6), TrainingSettings(epochs=2, batch_size=5, learning_rate=0.1)
    where = {"seed": 3, "images": None, "subset": None, "execution": []}
    taught, alone = (training_identity(spec, settings, **where, teacher=one) for one in (teacher, None))
    assert taught["teacher"] == "d" * 64 and said_of(taught)["settings"]["teacher_weight"] == 0.5
    assert disagreements(taught, alone) == ["teacher_weight 0.5 in place of off"]
    assert disagreements(alone, taught) == ["teacher_weight off in place of 0.5"]


def test_settings_that_are_off_leave_results_what_they_were():
    assert list(identity()["settings"]) == [
        "epochs",
        "batch_size",
        "learning_rate",
        "schedule",
        "milestones",
        "gamma",
        "momentum",
        "weight_decay",
        "augmentation",
    ]


def test_what_is_not_known_is_no_difference():
    assert disagreements({}, {**identity(), "subset": "a"}) == []
    assert disagreements({**identity(), "settings": {"epochs": 2}}, identity()) == []
    assert disagreements(identity(binary=False), {"network": {"binariser": "other"}}) == [], "it has none"
    old = {key: value for key, value in identity().items() if key != "architecture"}
    assert disagreements(old, {"binariser": "0a"}) == [], "it was not said then"


def test_an_accuracy_s_record_says_all_but_the_machine_s_part():
    assert said_of({**identity(), "versions": {}}).keys() == identity().keys() - {"network", "execution"}


def test_each_training_of_a_row_has_a_seed_of_its_own():
    assert len({row_seed(seed, repetition) for seed in range(3) for repetition in range(3)}) == 9
