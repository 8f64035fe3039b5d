"""Tables of a whole search space: what stands in them, what searches make of them, what is no table."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.__main__ import main
from pipeline.common.errors import UserError
from pipeline.networks.spec import NetworkSpec, uniform_genome
from pipeline.search.algorithms import ALGORITHMS
from pipeline.search.early_stopping import EarlyStopping
from pipeline.search.individual import Individual
from pipeline.search.objectives import configured
from pipeline.search.tabular import LEARNED_FROM, Table, find_table, read_table, write_table
from pipeline.search.tabular.run import best_worth, chosen_worth, course, search_on, trainings_spent, true_worth

SPEC = NetworkSpec("vgg_small", uniform_genome("vgg_small", 1), size=8)
RATIOS = (0.5, 1.0, 2.0)
NOISE, ABOUT = 2.0, 1.0
FITNESS = configured({"lambda": 4})


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """The accuracy that each genome has: wider is better, by less and less."""
    random = np.random.default_rng(1)
    wide = np.log2(np.array(list(Table.of(SPEC, RATIOS, empty(), empty(), {}).genomes)))
    return 70 + wide @ np.array([4.0, 3, 2, 2, 1, 1]) - (wide**2).sum(axis=1) / 2 + random.normal(0, ABOUT, len(wide))


def empty() -> np.ndarray:
    return np.full((len(RATIOS) ** 6, 1), np.nan)


@pytest.fixture(scope="module")
def table(truth) -> Table:
    random = np.random.default_rng(2)
    scores = truth[:, None] - 15 + random.normal(0, 3, (len(truth), 1))
    trained = truth[:, None] + random.normal(0, NOISE, (len(truth), 3))
    trained[random.random(len(truth)) < 0.6] = np.nan
    return Table.of(SPEC, RATIOS, scores, trained, {"dataset": "made up"})


def test_a_search_sees_scores_and_costs(table):
    seen = table.individual(SPEC.genome)
    assert seen.relative_cost == 1 and seen.top1 == table.scores[table.genomes.index(SPEC.genome), 0]


def test_quality_is_nearer_to_the_truth_than_what_was_measured(table, truth):
    known = ~np.isnan(table.trained).any(axis=1)
    measured = table.trained[known].mean(axis=1)

    def error(values: np.ndarray, of: np.ndarray) -> float:
        return float(np.sqrt(np.mean((values - of) ** 2)))

    assert error(table.quality[known], truth[known]) < error(measured, truth[known])
    assert error(table.quality[~known], truth[~known]) < 1.3 * ABOUT
    over_seeds, about_model = table.noise
    assert over_seeds == pytest.approx(NOISE, rel=0.1)
    assert about_model == pytest.approx(ABOUT, rel=0.3)


def test_a_search_is_judged_by_quality_not_by_score(table):
    """The best score is partly luck: what it is worth is what a training would give."""
    settings = ALGORITHMS["random"].Settings(population=8)
    history = search_on(table, "random", settings, FITNESS, 0, 5)
    found = course(table, history, FITNESS)
    everyone = [individual for generation in history for individual in generation]
    assert len(found) == len(everyone) == 40
    assert found[-1] == true_worth(table, FITNESS.rank(everyone, 1)[0], FITNESS)
    assert found.max() <= best_worth(table, FITNESS)


def test_what_looks_at_scores_beats_chance_on_it(table):
    def reached(algorithm: str) -> float:
        settings = ALGORITHMS[algorithm].Settings(population=8)
        histories = [search_on(table, algorithm, settings, FITNESS, seed, 8) for seed in range(12)]
        return float(np.mean([course(table, history, FITNESS)[-1] for history in histories]))

    assert reached("evolution") > reached("random")


def test_exhaustive_search_ends_with_the_table(table):
    settings = ALGORITHMS["exhaustive"].Settings(population=100)
    history = search_on(table, "exhaustive", settings, FITNESS, 0, 8)
    assert sum(map(len, history)) == len(table.genomes)


@pytest.mark.parametrize("count", [0, 5, 59])
def test_nothing_is_said_of_genomes_of_which_too_few_were_trained_in_full(table, count, tmp_path, capsys):
    """As in a table that was made before the experiment's end: the model of quality would foretell anything."""
    trained = table.trained.copy()
    trained[np.flatnonzero(~np.isnan(trained[:, 0]))[count:]] = np.nan
    write_table(tmp_path / "few.npz", replace(table, trained=trained))
    words = ["search", "--table", str(tmp_path / "few.npz"), "--algorithm", "random", "--seeds", "2"]
    assert main([*words, "--generations", "1"]) == 1
    said = capsys.readouterr()
    assert f"only {count} genomes of the table were trained in full" in said.err and "the best there is" not in said.out


def test_noise_of_one_training_each_is_not_known(table, tmp_path, capsys):
    once = table.trained.copy()
    once[:, 1:] = np.nan
    write_table(tmp_path / "once.npz", replace(table, trained=once))
    words = ["search", "--table", str(tmp_path / "once.npz"), "--algorithm", "random", "--seeds", "2"]
    assert main([*words, "--generations", "1"]) == 0
    said = capsys.readouterr()
    assert "warning: no genome of" in said.err and "deviation over seeds is not known" in said.out


def test_a_file_gives_it_back_in_equal_bytes(table, tmp_path):
    for name in ("a.npz", "b.npz"):
        write_table(tmp_path / name, table)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    read = read_table(tmp_path / "a.npz")
    assert read.spec == table.spec and read.ratios == table.ratios and read.made == {"dataset": "made up"}
    np.testing.assert_allclose(read.scores, table.scores, atol=0.0051)
    np.testing.assert_allclose(read.trained, table.trained, atol=0.0051)


@pytest.fixture(scope="module")
def partial(table) -> Table:
    """The table with what its candidates had after 2 and 5 of their epochs: 20 and 10 points less, and less surely."""
    random = np.random.default_rng(3)
    early = table.scores - np.array([20.0, 10.0]) + random.normal(0, 2, (len(table.scores), 2))
    split = {"subset_per_class": 40, "validation_per_class": 20}
    made = {**table.made, "candidate": {"epochs": 10}, "split": split}
    return replace(table, made=made, partial=early, partial_epochs=(2, 5))


def test_a_file_holds_what_candidates_had_early(partial, tmp_path):
    write_table(tmp_path / "t.npz", partial)
    read = read_table(tmp_path / "t.npz")
    assert read.partial_epochs == (2, 5) and read.epochs == 10
    np.testing.assert_allclose(read.partial, partial.partial, atol=0.0051)
    place = read.genomes.index(SPEC.genome)
    assert read.partial_top1(SPEC.genome, 5) == read.partial[place, 1]
    with pytest.raises(UserError, match="no scores after 3 epochs: it has them after 2 or 5 epochs"):
        read.partial_top1(SPEC.genome, 3)
    write_table(tmp_path / "cut.npz", replace(partial, partial_epochs=(2,)))
    with pytest.raises(UserError, match="one column for each number of epochs"):
        read_table(tmp_path / "cut.npz")


def test_a_search_stops_what_was_clearly_worse(partial):
    """By hand: of each generation those below the upper quarter of all before it, by what a line lets expect."""
    settings = ALGORITHMS["local_search"].Settings(population=8)
    stopping = EarlyStopping(early_stop_epochs=5, early_stop_keep=0.25)
    history = search_on(partial, "local_search", settings, FITNESS, 0, 4, stopping)
    before: list[tuple[float, Individual]] = []
    for generation in history:
        early = [partial.partial_top1(one.genome, 5) for one in generation]
        if before:
            ended = np.array([(first, one.top1) for first, one in before if one.top1 is not None])
            slope, intercept = np.polyfit(*ended.T, 1)
            worths = [first * slope + intercept - 4 * one.relative_cost for first, one in before]
            worst = sorted(worths, reverse=True)[-(-len(before) // 4) - 1]
            reached = [slope * e + intercept - 4 * o.relative_cost for e, o in zip(early, generation, strict=True)]
            assert [one.top1 is not None for one in generation] == [worth >= worst - 1e-9 for worth in reached]
        before += zip(early, generation, strict=True)
    stopped = sum(one.top1 is None for generation in history for one in generation)
    assert 0 < stopped < 24
    # Half of a training each, and half an epoch of passes over 40 and 20 images to judge every one.
    assert trainings_spent(partial, history, stopping)[-1] == pytest.approx(32 - stopped / 2 + 32 * 0.05)
    longer = search_on(partial, "local_search", settings, FITNESS, 0, 99, stopping, trainings=32)
    assert longer[:4] == history and len(longer) > 4
    assert trainings_spent(partial, longer[:-1], stopping)[-1] < 32 <= trainings_spent(partial, longer, stopping)[-1]
    for_all = {"subset_per_class": None, "validation_per_class": 20}
    rest = replace(partial, made={**partial.made, "split": for_all, LEARNED_FROM: 40 * SPEC.classes})
    assert trainings_spent(rest, history, stopping).tolist() == trainings_spent(partial, history, stopping).tolist()
    with pytest.raises(UserError, match="does not say how many images candidates learn from"):
        trainings_spent(replace(partial, made={**partial.made, "split": for_all}), history, stopping)
    never = search_on(partial, "local_search", settings, FITNESS, 0, 4)
    assert trainings_spent(partial, never, EarlyStopping())[-1] == 32
    free = search_on(partial, "random", ALGORITHMS["random"].Settings(population=8), FITNESS, 0, 4, stopping)
    assert all(one.top1 is not None for generation in free for one in generation)


def test_early_stopping_reaches_the_command(partial, tmp_path, capsys):
    write_table(tmp_path / "t.npz", partial)
    words = ["search", "--table", str(tmp_path / "t.npz"), "--algorithm", "evolution", "--seeds", "2"]
    words += ["--population", "8", "--generations", "3"]
    ends = []
    for early in ([], ["--early-stop-epochs", "2"], ["--early-stop-epochs", "2", "--early-stop-keep", "0.1"]):
        assert main([*words, *early]) == 0
        text = capsys.readouterr().out
        assert ("whole trainings" in text) == bool(early)
        ends.append(text.splitlines()[-1])
    assert len(set(ends)) == 3


def test_a_choice_by_the_model_reaches_the_command(table, tmp_path, capsys):
    write_table(tmp_path / "t.npz", table)
    words = ["search", "--table", str(tmp_path / "t.npz"), "--algorithm", "random", "--lambda", "4", "--seeds", "4"]
    words += ["--population", "8", "--generations", "3"]
    printed, written = {}, {}
    for chosen_by in ("score", "model"):
        assert main([*words, "--chosen-by", chosen_by, "--csv", str(tmp_path / f"{chosen_by}.csv")]) == 0
        printed[chosen_by] = capsys.readouterr().out
        with (tmp_path / f"{chosen_by}.csv").open() as file:
            written[chosen_by] = {(row["seed"], row["evaluations"]): row["worth"] for row in csv.DictReader(file)}
    assert "chosen by a model" in printed["model"] and "chosen by a model" not in printed["score"]
    assert len(written["score"]) == 4 * 24 and len(written["model"]) == 4 * 6
    history = search_on(table, "random", ALGORITHMS["random"].Settings(population=8), FITNESS, 2, 3)
    worth = chosen_worth(table, history, FITNESS, 24, "model")
    assert float(written["model"]["2", "24"]) == pytest.approx(worth, abs=1e-3)
    assert any(written["score"][key] != value for key, value in written["model"].items())


def test_epochs_after_which_only_some_genomes_were_scored_are_refused(partial, capsys):
    """The others would count as diverged, of which none is stopped: as if there were no stopping."""
    words = ["search", "--table", "digits-4096", "--seeds", "2", "--generations", "2", "--population", "4"]
    assert main([*words, "--early-stop-epochs", "3"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "the table has scores of some genomes only after 3 epochs: it has them after 0 or 1 epochs" in said
    assert main([*words, "--early-stop-epochs", "1"]) == 0
    # What diverged has a score neither then nor in the end.
    early, scores = partial.partial.copy(), partial.scores.copy()
    early[3, 0] = scores[3] = np.nan
    assert replace(partial, partial=early, scores=scores).partial_top1(partial.genomes[3], 2) is None
    with pytest.raises(UserError, match="of some genomes only after 2 epochs: it has them after 5 epochs"):
        replace(partial, partial=early).partial_top1(partial.genomes[5], 2)


def test_whoever_stops_nothing_early_is_said_to(partial, tmp_path, capsys):
    write_table(tmp_path / "t.npz", partial)
    words = ["search", "--table", str(tmp_path / "t.npz"), "--seeds", "2", "--generations", "2", "--population", "4"]
    ends = []
    for early in ([], ["--early-stop-epochs", "2"]):
        assert main([*words, "--algorithm", "random", *early]) == 0
        printed = capsys.readouterr()
        assert ("note: random search stops no candidate early" in printed.err) == bool(early)
        ends.append(printed.out)
    assert ends[0] == ends[1] and "whole trainings" not in ends[1]


def test_genomes_without_a_score_are_counted(table, tmp_path, capsys):
    """Of an experiment that was not at its end, say, when the table was made."""
    scores = table.scores.copy()
    scores[5:205] = np.nan
    for one, said in ((table, False), (replace(table, scores=scores), True)):
        write_table(tmp_path / "t.npz", one)
        assert main(["search", "--table", str(tmp_path / "t.npz"), "--seeds", "2", "--generations", "2"]) == 0
        said_here = "warning: 200 of 729 genomes of " in " ".join(capsys.readouterr().err.split())
        assert said_here == said


@pytest.mark.parametrize("flag", ["--parents=0", "--mutation-rate=5", "--lambda=nan", "--population=0", "--lambda=-1"])
def test_settings_keep_to_their_limits_on_the_command_line_too(flag, capsys):
    assert main(["search", "--table", "digits-4096", flag]) == 1
    assert f"argument {flag.partition('=')[0]}: {flag.partition('=')[2]} is n" in capsys.readouterr().err
    assert main(["search", "--table", "digits-4096", "--early-stop-keep", "7"]) == 2
    assert "argument --early-stop-keep: 7 is not at most 1" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"genome,score\n"])
def test_what_is_no_table_gets_one_sentence(tmp_path, content):
    (tmp_path / "table.npz").write_bytes(content)
    with pytest.raises(UserError, match="is no table of a search space"):
        read_table(tmp_path / "table.npz")


def test_a_table_that_lost_genomes(table, tmp_path):
    short = Table(table.spec, table.ratios, table.scores[:-1], table.trained[:-1], {})
    write_table(tmp_path / "table.npz", short)
    with pytest.raises(UserError, match="one line for each genome"):
        read_table(tmp_path / "table.npz")


def test_the_table_that_comes_with_the_project():
    table = read_table(find_table("digits-4096"))
    assert table.ratios == (0.5, 1, 2, 4) and len(table.genomes) == 4096
    assert not np.isnan(table.scores[:, 0]).any()
    assert (~np.isnan(table.trained)).all(axis=1).sum() == 200 and (~np.isnan(table.trained)).any(axis=1).sum() == 200
    assert table.made["dataset"] == "digits" and table.made["torch"] == "torch 2.11.0"
    # As docs/tables.md says of early stopping.
    assert table.partial_epochs == (0, 1, 2, 3, 5) and table.epochs == 10
    assert (~np.isnan(table.partial)).sum(axis=0).tolist() == [4096, 4096, 200, 200, 200]
    # Wider is better, and three seeds of a training lie about as far apart as docs/tables.md says.
    assert table.quality[-1] > table.quality[0] + 20
    assert table.noise[0] == pytest.approx(3.26, abs=0.01)


def test_the_table_of_fashion_mnist():
    table = read_table(find_table("fashion-4096"))
    assert table.ratios == (0.5, 1, 2, 4) and not np.isnan(table.scores[:, 0]).any()
    assert (~np.isnan(table.trained)).sum(axis=0).tolist() == [500, 500, 500]
    assert (~np.isnan(table.scores)).sum(axis=0).tolist() == [4096, 500, 500]
    assert table.made["dataset"] == "fashion_mnist"
    assert table.quality[-1] > table.quality[0] + 10
    assert table.noise[0] == pytest.approx(1.21, abs=0.01)


def test_the_table_of_the_digits_whole_space():
    table = read_table(find_table("digits-46656"))
    assert table.ratios == (0.25, 0.5, 1, 2, 3, 4) and not np.isnan(table.scores[:, 0]).any()
    assert len(table.genomes) == 46656
    assert (~np.isnan(table.trained)).sum(axis=0).tolist() == [1723, 1723, 1500]
    assert table.made["dataset"] == "digits"
    assert table.quality[-1] > table.quality[0] + 40
    assert table.noise == (pytest.approx(5.18, abs=0.01), pytest.approx(1.04, abs=0.01))


def test_an_unknown_table():
    with pytest.raises(UserError, match="there is no table 'nothing'"):
        find_table("nothing")


def test_the_command_prints_what_searches_reach(table, tmp_path, capsys):
    write_table(tmp_path / "t.npz", table)
    words = ["search", "--table", str(tmp_path / "t.npz"), "--algorithm", "evolution", "--lambda", "4", "--seeds", "3"]
    assert main([*words, "--generations", "4", "--population", "6", "--csv", str(tmp_path / "courses.csv")]) == 0
    text = capsys.readouterr().out
    assert "evolution, λ = 4, 3 seeds" in text and "729 genomes" in text
    assert len((tmp_path / "courses.csv").read_text().splitlines()) == 1 + 3 * 24
    assert main([*words, "--colour", "red"]) == 1


def test_lambda_reaches_the_search(table, tmp_path, capsys):
    write_table(tmp_path / "t.npz", table)
    words = ["search", "--table", str(tmp_path / "t.npz"), "--seeds", "3", "--generations", "3"]
    outputs = []
    for penalty in ("0", "16"):
        assert main([*words, "--lambda", penalty]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] != outputs[1]


def test_a_table_that_was_edited_is_told(table, tmp_path):
    write_table(path := tmp_path / "t.npz", table)
    with np.load(path) as arrays:
        whole = dict(arrays)

    def edited(name: str, values: np.ndarray) -> str:
        np.savez(tmp_path / "edited.npz", **{**whole, name: values})
        with pytest.raises(UserError) as caught:
            read_table(tmp_path / "edited.npz")
        return str(caught.value)

    better = whole["scores"].copy()
    better[0] += 1
    about = whole["about"].tobytes()
    assert "was changed after it was written" in edited("scores", better)
    for old, new in ((b"made up", b"real   "), (b"[0.5, 1.0, 2.0]", b"[0.5, 1.0, 3.0]")):
        assert old in about
        assert "was changed" in edited("about", np.frombuffer(about.replace(old, new), np.uint8))
    # One of an earlier version, which carries no digest, is taken; but nothing in it that is no accuracy.
    whole["about"] = np.frombuffer(
        json.dumps({k: v for k, v in json.loads(about).items() if k != "digest"}).encode(), np.uint8
    )
    np.savez(tmp_path / "old.npz", **whole)
    assert np.array_equal(read_table(tmp_path / "old.npz").scores, read_table(path).scores, equal_nan=True)
    for wrong in (np.full_like(better, 10_001), better[:, 0], better.astype(float)):
        assert "'scores' holds no accuracies" in edited("scores", wrong)
