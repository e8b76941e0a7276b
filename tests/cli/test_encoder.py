import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from recgym.cli.main import main
from recgym.data import markov_log, random_transitions, read_log
from recgym.encoders import load_encoder
from recgym.evaluation.encoders import with_items_of
from recgym.report.pages import report_of, run_in
from recgym.report.runs import Kind, State

_SMALL = ["--width", "16", "--blocks", "1", "--window", "10", "--epochs", "12", "--batch-size", "16"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("markov") / "log"
    markov_log(80, 12, random_transitions(25, 3, seed=0), seed=0).save(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder") / "sasrec"
    assert main(["encoder", "fit", *_of(data), "--out", str(folder), *_SMALL, "--step-size", "0.01", "--quiet"]) == 0
    return folder


def _of(data: Path) -> list[str]:
    return ["--data", str(data), "--format", "recgym"]


def test_fit_evaluate_and_recommend(data: Path, encoder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["encoder", "evaluate", "--encoder", str(encoder), *_of(data), "--keep-seen", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["protocol"]["seen_items"] == "kept"
    assert report["metrics"]["all"]["hr@5"]["mean"] > 5 / 25
    again = ["encoder", "evaluate", "--encoder", str(encoder), *_of(data), "--keep-seen", "--json"]
    assert main(again) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == report["metrics"]

    assert main(["encoder", "recommend", "--encoder", str(encoder), *_of(data), "--k", "3", "--json"]) == 0
    served = json.loads(capsys.readouterr().out)["recommendations"]
    assert len(served) == 80
    assert all(len(set(items)) == 3 for items in served.values())


def test_a_fit_is_a_run_that_the_view_shows(data: Path, encoder: Path, tmp_path: Path) -> None:
    run = run_in(encoder)
    assert (run.kind, run.state) == (Kind.ENCODER, State.DONE)
    assert [point["epochs"] for point in run.result["learning_curve"]] == list(range(1, 13))
    assert run.result["learning_curve"] == json.loads((encoder / "epochs.json").read_text(encoding="utf-8"))
    assert run.config["settings"]["width"] == 16
    assert report_of(run).sections[0].heading == "Ranking"
    # A fit that was killed left its settings and a curve; the next one may take their place, other things stay.
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("config.json", "epochs.json"):
        (killed / name).write_bytes((encoder / name).read_bytes())
    again = ["encoder", "fit", *_of(data), "--out", str(killed), *_SMALL, "--epochs", "1", "--quiet"]
    assert main(again) == 0
    assert len(run_in(killed).result["learning_curve"]) == 1
    assert load_encoder(killed).name == "sasrec"
    for name in ("encoder.json", "epochs.json"):
        (killed / name).unlink()
    assert main(again) == 2
    assert (killed / "items.parquet").exists()


def test_an_interrupted_fit_keeps_nothing_and_the_next_one_takes_its_place(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    command = ["encoder", "fit", *_of(data), "--out", str(tmp_path / "fit"), *_SMALL, "--epochs", "1"]
    with monkeypatch.context() as patched:
        patched.setattr("recgym.cli.encoder._passed", interrupted)
        assert main(command) == 130
    assert "nothing is kept" in " ".join(capsys.readouterr().err.split())
    assert (run_in(tmp_path / "fit").state, run_in(tmp_path / "fit").why) == (State.STOPPED, "interrupted")
    assert main([*command, "--quiet"]) == 0
    assert run_in(tmp_path / "fit").state is State.DONE


def test_what_an_agent_has_learned_is_not_replaced(data: Path, tmp_path: Path) -> None:
    for name in ("config.json", "curve.json", "result.json"):  # as recgym train leaves them
        (tmp_path / name).write_text("{}", encoding="utf-8")
    assert main(["encoder", "fit", *_of(data), "--out", str(tmp_path), *_SMALL, "--quiet"]) == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["config.json", "curve.json", "result.json"]


def _served(data: Path, encoder: Path, k: int, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, list[str]]:
    capsys.readouterr()
    where = ["--encoder", str(encoder), *_of(data), "--k", str(k), "--json", *flags]
    assert main(["encoder", "recommend", *where]) == 0
    served: dict[str, list[str]] = json.loads(capsys.readouterr().out)["recommendations"]
    return served


def test_nothing_that_was_ever_seen_is_recommended(
    data: Path, encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = read_log(data, "recgym")
    assert log.n_rows // log.n_users > load_encoder(encoder).model.window  # some of it is out of the model's sight
    everything = {str(item) for item in log.item_ids.to_list()}
    seen = {
        str(log.user_ids[user]): {str(log.item_ids[item]) for item in frame["item"]}
        for (user,), frame in log.frame.group_by("user")
    }
    for user, items in _served(data, encoder, 5, capsys).items():
        assert len(items) == 5
        assert not seen[user] & set(items)
    for user, items in _served(data, encoder, log.n_items, capsys).items():  # more than there is for anybody
        assert sorted(items) == sorted(everything - seen[user])
    for items in _served(data, encoder, log.n_items, capsys, "--keep-seen").values():
        assert sorted(items) == sorted(everything)


def test_a_saved_encoder_scores_as_it_did(data: Path, encoder: Path, tmp_path: Path) -> None:
    first = load_encoder(encoder)
    first.save(tmp_path / "copy")
    second = load_encoder(tmp_path / "copy")
    assert second.config == first.config
    weights = first.model.state_dict(), second.model.state_dict()
    assert all(np.array_equal(value.numpy(), weights[1][name].numpy()) for name, value in weights[0].items())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fit", "--model", "sazrec"], "there is no model 'sazrec'; there are: "),
        (["evaluate", "--encoder", "nowhere"], "nowhere/encoder.json does not exist"),
        (["recommend", "--users", "u999"], "the log has no user 'u999'"),
        (
            ["fit", "--data", "x", "--format", "recgym", "--out", "x", "--workers", "2"],
            "--workers shares the work of --ray: name auto or the address",
        ),
        (["recommend", "--k", "0"], "--k must be in 1..25, the number of items, found 0"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str], sentence: str, data: Path, encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verb, *flags = arguments
    where = [] if "--encoder" in flags or verb == "fit" else ["--encoder", str(encoder)]
    assert main(["encoder", verb, *flags, *where, *([] if verb == "fit" else _of(data))]) == 2
    assert sentence in capsys.readouterr().err


def test_damaged_folders_are_named(encoder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    load_encoder(encoder).save(broken)
    tensors = load_file(broken / "encoder.safetensors")
    tensors["model.encoder.blank"] = tensors["model.encoder.blank"][:3].clone()
    save_file(tensors, broken / "encoder.safetensors")
    with pytest.raises(ValueError, match=r"encoder\.safetensors does not fit the settings in encoder\.json"):
        load_encoder(broken)
    (broken / "encoder.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match=r"encoder\.safetensors is not readable as safetensors"):
        load_encoder(broken)
    meta = json.loads((broken / "encoder.json").read_text())
    (broken / "encoder.json").write_text(json.dumps({**meta, "model": "evil"}))
    with pytest.raises(ValueError, match="there is no model 'evil'"):
        load_encoder(broken)


def test_a_log_of_other_items_is_refused_and_unknown_items_are_counted(encoder: Path, tmp_path: Path) -> None:
    other = markov_log(20, 8, random_transitions(30, 3, seed=1), seed=1)
    known = with_items_of(other, load_encoder(encoder))
    assert known.n_items == 25
    assert known.left_out[-1].rows == other.n_rows - known.n_rows > 0
