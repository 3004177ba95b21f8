import json

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from keras_seq.training.journal import Journal, draw_history


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(folder, steps, start=0):
    journal = Journal(folder, start)
    for step in steps:
        journal.add_step(step, {"loss": 1 / step, "accuracy": step / 10})
        if step % 4 == 0:
            journal.add_epoch(step, step // 4, {"loss": 1 / step, "val_loss": 2 / step})
    journal.close()


def test_lines_picture_and_events(tmp_path):
    written(tmp_path, range(1, 9))
    assert [line["step"] for line in lines(tmp_path / "steps.jsonl")] == list(range(1, 9))
    assert lines(tmp_path / "metrics.jsonl") == [
        {"epoch": 1, "step": 4, "loss": 0.25, "val_loss": 0.5},
        {"epoch": 2, "step": 8, "loss": 0.125, "val_loss": 0.25},
    ]
    assert (tmp_path / "curve.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 9))
    assert [event.value for event in events.Scalars("epoch_val_loss")] == [0.5, 0.25]


def test_resumed_after_a_kill_it_is_as_if_never_stopped(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    written(tmp_path / "a", range(1, 9))
    written(tmp_path / "b", range(1, 8))
    with (tmp_path / "b" / "steps.jsonl").open("a") as file:
        file.write('{"step": 8, "lo')  # the kill came while it was written
    written(tmp_path / "b", range(6, 9), start=5)
    for name in ("steps.jsonl", "metrics.jsonl"):
        assert lines(tmp_path / "a" / name) == lines(tmp_path / "b" / name)
    pictures = [(tmp_path / name / "curve.png").read_bytes() for name in ("a", "b")]
    assert pictures[0] == pictures[1]
    # Sorted by name alone, two files of one second would stand by process and by writer: 10 before 9.
    starts = [file.name.split(".")[3] for file in (tmp_path / "b" / "events").iterdir()]
    assert len(set(starts)) == 2
    events = EventAccumulator(str(tmp_path / "b" / "events")).Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 9))


def test_a_notebook_shows_the_picture():
    steps = [{"step": step, "loss": 1 / step} for step in (1, 2, 3)]
    figure = draw_history(steps, [{"step": 3, "loss": 0.3, "val_loss": 0.4}])
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert [axes.get_title() for axes in figure.axes] == ["loss"]
