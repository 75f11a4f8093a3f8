from etude.report.sections import shown


def test_values_are_shown_as_the_command_line_takes_them() -> None:
    assert shown((500, 250)) == "500 250"
    assert shown(0.5) == "0.5"
