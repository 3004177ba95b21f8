"""The command line of `python -m export`."""

from export.cli.export import make_parser


def test_the_old_name_of_num_beams_is_accepted_and_not_shown():
    assert make_parser().parse_args(["model.keras", "--num-beams", "3"]).num_beams == 3
    assert make_parser().parse_args(["model.keras", "--beam", "3"]).num_beams == 3
    assert "--beam" not in make_parser().format_help()
