"""The archive: facts come back, anything else about a training makes another key, damage is noticed."""

import json

import pytest

from pipeline.common.errors import UserError
from pipeline.search.archive import Archive, Evaluation, Timing, archive_key, read_entry

FACTS = {"seed": 0, "settings": {"epochs": 10}, "supernet": "abc", "execution": ["cpu", "float32", 1]}
GENOME = (0.5, 2.0, 1.0)
TIMING = Timing(1.5, "machine", "cpu float32")


@pytest.mark.parametrize(
    "evaluation",
    [
        Evaluation(GENOME, "ok", 91.25, 0.3),
        Evaluation(GENOME, "diverged", reason="loss nan in epoch 2 of 10"),
        Evaluation(GENOME, "ok", 91.25, 0.3, micro_batch=32),
    ],
)
def test_what_was_put_comes_back(tmp_path, evaluation):
    Archive(tmp_path, FACTS).put(evaluation, TIMING)
    assert Archive(tmp_path, FACTS).get(GENOME) == (evaluation, TIMING)
    assert Archive(tmp_path, FACTS).get((0.5, 2.0, 2.0)) is None


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"settings": {"epochs": 11}}, {"supernet": None}, {"execution": ["cpu", "bfloat16", 1]}],
)
def test_another_fact_is_another_entry(tmp_path, change):
    Archive(tmp_path, FACTS).put(Evaluation(GENOME, "ok", 91.0, 0.3), TIMING)
    assert Archive(tmp_path, {**FACTS, **change}).get(GENOME) is None
    assert archive_key({**FACTS, **change}, GENOME) != archive_key(FACTS, GENOME)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"evaluation": {"genome": "1,1,1", "status": "ok"}}', "\x00\x01"])
def test_a_damaged_entry_is_set_aside(tmp_path, damage, capsys):
    archive = Archive(tmp_path, FACTS)
    archive.put(Evaluation(GENOME, "ok", 91.0, 0.3), TIMING)
    (entry,) = tmp_path.glob("*/*.json")
    entry.write_text(damage)
    assert archive.get(GENOME) is None
    assert "damaged" in capsys.readouterr().err
    assert entry.with_suffix(".damaged").read_text() == damage
    archive.put(Evaluation(GENOME, "ok", 91.0, 0.3), TIMING)
    assert archive.get(GENOME) is not None


def test_a_damaged_entry_that_cannot_be_set_aside_is_told(tmp_path):
    archive = Archive(tmp_path, FACTS)
    archive.put(Evaluation(GENOME, "ok", 91.0, 0.3), TIMING)
    (entry,) = tmp_path.glob("*/*.json")
    entry.write_text("")
    (entry.with_suffix(".damaged") / "a").mkdir(parents=True)
    with pytest.raises(UserError, match="is damaged and cannot be set aside"):
        archive.get(GENOME)


@pytest.mark.parametrize(
    ("facts", "genome"), [({**FACTS, "seed": 1}, GENOME), (FACTS, (0.5, 2.0, 2.0)), ({**FACTS, "new": None}, GENOME)]
)
def test_another_candidates_entry_is_not_taken(tmp_path, facts, genome, capsys):
    Archive(tmp_path, facts).put(Evaluation(genome, "ok", 99.0, 0.1), TIMING)
    (other,) = tmp_path.glob("*/*.json")
    key = archive_key(FACTS, GENOME)
    (tmp_path / key[:2]).mkdir(exist_ok=True)
    other.rename(tmp_path / key[:2] / f"{key}.json")
    assert Archive(tmp_path, FACTS).get(GENOME) is None
    assert "it is no evaluation of this candidate" in capsys.readouterr().err


def test_whole_batches_are_written_as_before_there_were_others(tmp_path):
    Archive(tmp_path, FACTS).put(Evaluation(GENOME, "ok", 91.0, 0.3), TIMING)
    (entry,) = tmp_path.glob("*/*.json")
    written = json.loads(entry.read_text())["evaluation"]
    assert written == {"genome": "0.5,2,1", "status": "ok", "top1": 91.0, "loss": 0.3, "reason": ""}


@pytest.mark.parametrize("size", ['"32"', "0", "-4", "true", "1.5"])
def test_a_micro_batch_that_makes_no_sense_is_damage(tmp_path, size):
    archive = Archive(tmp_path, FACTS)
    archive.put(Evaluation(GENOME, "ok", 91.0, 0.3, micro_batch=32), TIMING)
    (entry,) = tmp_path.glob("*/*.json")
    entry.write_text(entry.read_text().replace('"micro_batch": 32', f'"micro_batch": {size}'))
    assert archive.get(GENOME) is None


def test_an_edited_score_out_of_range_is_damage(tmp_path):
    archive = Archive(tmp_path, FACTS)
    archive.put(Evaluation(GENOME, "ok", 91.0, 0.3), TIMING)
    (entry,) = tmp_path.glob("*/*.json")
    entry.write_text(entry.read_text().replace("91.0", "910.0"))
    assert archive.get(GENOME) is None


def test_an_edited_score_is_damage(tmp_path, capsys):
    archive = Archive(tmp_path, FACTS)
    archive.put(Evaluation(GENOME, "ok", 91.0, 0.3), TIMING)
    (entry,) = tmp_path.glob("*/*.json")
    entry.write_text(entry.read_text().replace("91.0", "100.0"))
    with pytest.raises(UserError, match="changed after it was written"):
        read_entry(entry)
    assert archive.get(GENOME) is None
    assert "changed after it was written" in capsys.readouterr().err


def test_an_entry_that_lost_its_digest_is_damage_unless_it_is_old(tmp_path):
    archive = Archive(tmp_path, FACTS)
    archive.put(Evaluation(GENOME, "ok", 91.0, 0.3), TIMING)
    (entry,) = tmp_path.glob("*/*.json")
    record = json.loads(entry.read_text())
    del record["digest"]
    entry.write_text(json.dumps(record))
    with pytest.raises(UserError, match="changed after it was written"):
        read_entry(entry)
    del record["arithmetic"]
    entry.write_text(json.dumps(record))
    assert read_entry(entry).evaluation.top1 == 91.0
    assert archive.get(GENOME) == (Evaluation(GENOME, "ok", 91.0, 0.3), TIMING)


def test_what_it_was_computed_with_is_known_even_without_the_time(tmp_path):
    archive = Archive(tmp_path, FACTS)
    archive.put(Evaluation(GENOME, "ok", 91.0, 0.3), TIMING)
    (timing,) = tmp_path.glob("*/*.timing")
    timing.write_text(timing.read_text().replace("cpu float32", "cpu bfloat16"))  # such as another entry's
    assert archive.get(GENOME)[1] == TIMING
    timing.unlink()
    assert archive.get(GENOME)[1] == Timing(0.0, "unknown", "cpu float32")


def test_two_writers_write_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        Archive(tmp_path / folder, FACTS).put(Evaluation(GENOME, "ok", 91.0, 0.3), TIMING)
    first, second = (next((tmp_path / f).glob("*/*.json")) for f in ("a", "b"))
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    assert json.loads(first.read_text())["facts"] == FACTS


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "archive").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="cannot write .*archive"):
        Archive(tmp_path / "archive", FACTS).put(Evaluation(GENOME, "ok", 91.0, 0.3), TIMING)
