"""The words of ``run``: which are ours, which Snakemake's, and what is said of those that are nobody's."""

from pathlib import Path

import numpy as np
import pytest
from snakemake.cli import get_argument_parser, parse_config
from snakemake.utils import update_config

from pipeline.__main__ import main
from pipeline.common.errors import UserError
from pipeline.data.datasets.image_folder import list_files
from pipeline.data.datasets.sources import CONTENT_BYTES
from pipeline.data.manifest import Manifest, contents_of, manifest_beside, write_manifest
from pipeline.steps import COMMANDS, STEPS, run
from pipeline.workflow.config import read_config
from pipeline.workflow.layout import Layout
from pipeline.workflow.saved_config import save_config
from pipeline.workflow.schema import ROOT
from pipeline.workflow.words import _USUAL, for_snakemake, read_settings_of, sort_words


@pytest.mark.parametrize(
    ("line", "configs", "settings", "others"),
    [
        ("mine.yaml", "mine.yaml", "", ""),
        ("a.yaml b.yml -n", "a.yaml b.yml", "", "-n"),
        ("-n mine.yaml", "mine.yaml", "", "-n"),
        ("--cores 2 mine.yaml seed=3", "mine.yaml", "seed=3", "--cores 2"),
        ("--cores=2 mine.yaml", "mine.yaml", "", "--cores=2"),
        ("-j4 mine.yaml", "mine.yaml", "", "-j4"),
        ("search.population=4 results/x/data/train.h5", "", "search.population=4", "results/x/data/train.h5"),
        ("--resources gpu=1 mem_mb=9", "", "", "--resources gpu=1 mem_mb=9"),
        ("--set-threads retrain=2 seed=3", "", "", "--set-threads retrain=2 seed=3"),
        ("--workflow-profile a.yaml b.yaml", "b.yaml", "", "--workflow-profile a.yaml"),
        ("--report-html-stylesheet-path x.yaml y.yaml", "y.yaml", "", "--report-html-stylesheet-path x.yaml"),
        ("--forcerun retrain", "", "", "--forcerun retrain"),
    ],
)
def test_whose_a_word_is(line, configs, settings, others):
    words = sort_words(line.split())
    assert words.configs == tuple(map(Path, configs.split()))
    assert words.settings == tuple(settings.split()) and words.others == tuple(others.split())


@pytest.mark.parametrize(
    ("line", "targets"),
    [
        ("--cores 2 mine.yaml seed=3 -k", ""),
        ("results/x/data/train.h5 mine.yaml tables", "results/x/data/train.h5 tables"),
        ("--forcerun retrain", ""),
    ],
)
def test_what_is_to_be_made(line, targets):
    assert sort_words(line.split()).targets == tuple(targets.split())


@pytest.mark.parametrize("line", ["", "--until tables", "results/x/data/train.h5", "tables"])
def test_the_table_is_printed_where_all_of_it_was_asked_for(line, tmp_path, monkeypatch, capsys):
    """Any other may be of settings before."""
    _old_table(tmp_path, monkeypatch)
    assert main(["run", *line.split()]) == 0
    assert ("the old ones" in capsys.readouterr().out) == (not line)


@pytest.mark.parametrize("line", ["-np", "--dry-r", "-kn", "-S", "--list-changes params", "--batch a=1/2", "-Utables"])
def test_the_table_of_before_is_no_answer_to_a_run_of_nothing(line, tmp_path, monkeypatch, capsys):
    """However the flag is written."""
    _old_table(tmp_path, monkeypatch)
    assert main(["run", *line.split()]) == 0
    assert "the old ones" not in capsys.readouterr().out


@pytest.mark.parametrize("line", ["-dwork", "-kd work", "--direc work", "--directory=work", "-d work"])
def test_the_table_is_that_of_the_folder_that_was_worked_in(line, tmp_path, monkeypatch, capsys):
    _old_table(tmp_path, monkeypatch)
    table = tmp_path / "work" / Layout.of("digits").tables.results
    table.parent.mkdir(parents=True)
    table.write_text("# Results\n\nthe right ones\n")
    monkeypatch.setattr(run, "follow", lambda *_: save_config(read_config([ROOT / "config.yaml"]), _DIGITS) or 0)
    assert main(["run", *line.split()]) == 0
    said = capsys.readouterr().out
    assert "the right ones" in said and "the old ones" not in said


def test_the_table_is_of_the_settings_that_were_given(tmp_path, monkeypatch, capsys):
    """A profile can give Snakemake others, or have it run nothing."""
    _old_table(tmp_path, monkeypatch)
    assert main(["run", "seed=5"]) == 0
    said = capsys.readouterr()
    assert "the old ones" not in said.out and "is not of the settings that were given here" in said.err


def test_the_table_is_of_other_images_where_some_were_changed_meanwhile(tmp_path, monkeypatch, capsys):
    """A run goes on with those that it began with; its table is read, and nothing else, the next morning."""
    _old_table(tmp_path, monkeypatch)
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        (tmp_path / "pets" / name / "1.png").write_text(name)
    settings = {"dataset": {"name": "image_folder", "path": "pets"}}
    save_config(read_config([ROOT / "config.yaml"], settings), _DIGITS)
    _DIGITS.train.parent.mkdir(parents=True)
    _DIGITS.train.touch()
    files = list_files(Path("pets"))
    contents = contents_of(files, [], np.zeros((0, CONTENT_BYTES), np.uint8))
    write_manifest(manifest_beside(_DIGITS.train), Manifest(files, contents, "pets", "", None))
    line = ["run", "dataset={name: image_folder, path: pets}"]
    assert main(line) == 0
    said = capsys.readouterr()
    assert "the old ones" in said.out and "not those any more" not in said.err
    (tmp_path / "pets" / "cat" / "1.png").write_text("another cat")
    assert main(line) == 0
    said = capsys.readouterr()
    assert "the old ones" in said.out and "warning: The images pets are not those any more that this is" in said.err


_DIGITS = Layout.of("digits")


def _old_table(folder, monkeypatch):
    """Leaves the default experiment's table and configuration, and has all runs end well at once."""
    monkeypatch.chdir(folder)
    for name in ("follow", "call"):
        monkeypatch.setattr(run, name, lambda *_: 0)
    _DIGITS.tables.results.parent.mkdir(parents=True)
    _DIGITS.tables.results.write_text("# Results\n\nthe old ones\n")
    save_config(read_config([ROOT / "config.yaml"]), _DIGITS)


def test_flags_are_known_by_all_their_names():
    known = get_argument_parser()._option_string_actions
    for flags in (run._LOOKING, run._WORDY, run._PARTIAL, run._SIZES, {"--directory", "-d"}, {"--executor", "-e"}):
        assert flags == {name for flag in flags for name in known[flag].option_strings}


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("-np", "-n -p"),
        ("-knj4", "-k -n -j=4"),
        ("-dwork tables", "-d=work tables"),
        ("--direc work", "--directory work"),
        ("--until=tables -Fq", "--until=tables -F -q"),
        ("-eslurm", "-e=slurm"),
    ],
)
def test_flags_as_they_are_looked_at(line, flags):
    words = sort_words(line.split())
    assert words.flags == tuple(flags.split()) and words.others == tuple(line.split())


def test_a_beginning_that_several_flags_have():
    with pytest.raises(UserError, match="--dry can be --dry-run or --dryrun"):
        sort_words(["--dry"])


def test_settings_behind_another_flag_are_not_passed_over():
    with pytest.raises(UserError, match="-C stands behind another flag in -kC: write it by itself"):
        sort_words(["-kC", "seed=3"])


def test_the_usual_flags_take_what_snakemake_says():
    known = get_argument_parser()._option_string_actions
    assert {flag: known[flag].nargs for flag in _USUAL} == dict(_USUAL)


def test_a_flag_that_nobody_has():
    with pytest.raises(UserError, match="neither this command nor Snakemake has a flag --kep-going: did you mean"):
        sort_words(["--kep-going"])


@pytest.mark.parametrize("word", ["search.=4", "search..population=4", "=4", "search.population", "-x=3", "s=1"])
def test_words_that_set_nothing(word):
    with pytest.raises(UserError, match="is no setting"):
        read_settings_of([word])


def test_snakemake_understands_what_it_is_given():
    words = ["search.population=4", "search.ratios=[0.5, 1]", "dataset={path: /a b}", "models.uniform-2x=null"]
    words += ["dataset.path=/data/{x}: y", "seed=3", "experiment=mine", "search.max_flops="]
    settings = read_settings_of(words)
    theirs: dict = {}
    update_config(theirs, parse_config(for_snakemake(settings)[1:]))

    def as_text(value):
        if isinstance(value, dict):
            return {key: as_text(part) for key, part in value.items()}
        return list(map(as_text, value)) if isinstance(value, list) else "null" if value is None else str(value)

    assert as_text(theirs) == as_text(settings)
    assert settings["dataset"] == {"path": "/data/{x}: y"} and settings["search"]["population"] == "4"


@pytest.mark.parametrize(
    "line", ["search.population=4", "--set search.population=4", "--config search.population=4 seed=1"]
)
def test_dotted_names_set_keys_of_sections(line, capsys):
    assert main(["check", *line.split()]) == 0
    assert "generations of 4 candidates" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    [
        "--configfile {0} --configfile {1}",
        "--configfile {0} {1}",
        "--configfiles {0} --configfile={1}",
        "{0} --configfile {1}",
        "{0} -C search.population=4",
        "-C search.generations=3 --config search.population=4",
    ],
)
def test_no_overlay_takes_the_place_of_an_earlier_one(line, tmp_path, capsys):
    overlays = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    for overlay, setting in zip(overlays, ("generations: 3", "population: 4"), strict=True):
        overlay.write_text(f"search: {{{setting}}}\n")
    assert main(["check", *line.format(*overlays).split()]) == 0
    assert "3 generations of 4 candidates" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "line",
    [
        "--set search.generations=2 --configfile {0} --cores 1 {1} search.generations=3",
        "--configfile={0} --config=search.generations=2 {1} search.generations=3",
        "{0} search.generations=2 --cores 1 {1} --cores=1 search.generations=3",
        "{0} --configfile {1} -C search.generations=2 search.generations=3",
        "search.generations=2 {0} --configfile {1} --set search.generations=3",
        "-Csearch.generations=2 {0} {1} search.generations=3",
        "-C=search.generations=2 {0} {1} -Csearch.generations=3",
    ],
)
def test_a_later_word_lies_over_an_earlier_one(line, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, generations, population in (("a.yaml", 5, 6), ("b.yaml", 6, 4)):
        Path(name).write_text(f"search: {{generations: {generations}, population: {population}}}\n")
    line = line.format("a.yaml", "./b.yaml")
    assert main(["check", *line.split()]) == 0
    assert "3 generations of 4 candidates" in " ".join(capsys.readouterr().out.split())
    calls = []
    monkeypatch.setattr(run, "call", lambda work, folder: calls.append(work) or 0)
    assert main(["run", *line.split(), "-n"]) == 0
    overlays = [str(tmp_path / name) for name in ("a.yaml", "b.yaml")]
    assert calls[0][-4:] == [*overlays, "--config", 'search={"generations": "3"}']


def test_a_configuration_that_lies_here_and_is_not_named_is_told(tmp_path, monkeypatch, capsys):
    """Snakemake reads one of that name beside its Snakefile, and so this could be taken for read."""
    monkeypatch.chdir(ROOT)
    assert main(["check"]) == 0 and "is not read" not in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("search: {population: 4}\n")
    for line, named in (("", False), ("seed=3", False), ("config.yaml", True), ("--configfile config.yaml", True)):
        assert main(["check", *line.split()]) == 0
        said = capsys.readouterr()
        assert ("of 4 candidates" in " ".join(said.out.split())) is named
        assert (f"note: {tmp_path / 'config.yaml'} is not read, since it is not named" in said.err) is not named


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("statu", 2, "there is no command 'statu': did you mean 'status'?"),
        ("nonsense", 2, "there is no command 'nonsense': python -m pipeline --help lists them"),
        ("check --brightness", 2, "there is no flag --brightness: python -m pipeline check --help lists what it takes"),
        ("check --configfil=x", 2, "there is no flag --configfil: did you mean --configfile?"),
        ("status a b", 2, "'b' is one word too many: python -m pipeline status --help lists what it takes"),
        ("cost --image-size x", 2, "argument --image-size: invalid int value: 'x': python -m pipeline cost --help"),
        ("check search.populatio=4", 1, "unknown key 'populatio' in search: did you mean 'population'?"),
        ("check nothing.yaml", 1, "cannot read the configuration nothing.yaml: No such file or directory"),
        ("run nothing.yaml", 1, "nothing.yaml: No such file or directory"),
        ("run --kep-going", 1, "neither this command nor Snakemake has a flag --kep-going: did you mean --keep-going?"),
        ("run search.populatio=4", 1, "unknown key 'populatio' in search: did you mean 'population'?"),
        ("check --set seed", 1, "'seed' is no setting: give KEY=VALUE, such as seed=3 or search.population=4"),
    ],
)
def test_a_mistake_in_the_command_costs_one_sentence(line, code, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == code
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    assert err.startswith("error: ") and said in err


def test_help_begins_with_what_people_call_and_fits_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    named = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert named[: len(COMMANDS)] == list(COMMANDS) and sorted(named) == sorted(STEPS)
    for step in STEPS:
        with pytest.raises(SystemExit):
            main([step, "--help"])
        text = capsys.readouterr().out
        assert max(map(len, text.splitlines())) <= 80, step
