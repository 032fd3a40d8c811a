"""The options of the command line for values, dates and numbers as people write them."""

from helpers.command_line import ask, parsed, refusal


def write(folder, text, name="r.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return name


def fit(folder, name, *options):
    return ask("fit", name, "-o", "m.palate", "--recipe", "Mean", *options, cwd=folder)


def test_missing_values_are_noted_and_left_out(tmp_path):
    rows = [f"u{user},i{item},{rating}\n" for user in range(4) for item, rating in enumerate([-1, 7, 8, 9])]
    name = write(tmp_path, "user,item,rating\n" + "".join(rows))
    noted = fit(tmp_path, name)
    assert noted.returncode == 0
    assert "ratings of -1 stand apart" in noted.stderr
    assert noted.stderr.count("\n") == 1
    assert "--missing -1" in noted.stderr
    told = fit(tmp_path, name, "--missing", "-1", "--missing", "none")
    assert told.returncode == 0
    assert "4 left out" in told.stderr
    assert "--missing" not in told.stderr
    found = {finding["name"]: finding for finding in parsed("check", name, cwd=tmp_path)["findings"]}
    assert found["missing"]["severity"] == "warning"


def test_what_may_be_read_in_two_ways_names_the_options(tmp_path):
    dates = write(tmp_path, "user,item,rating,date\nann,tea,5,1/2/2026\nbob,jam,4,3/4/2026\n", "dates.csv")
    assert '--time-format "%d/%m/%Y" or --time-format "%m/%d/%Y"' in refusal(fit(tmp_path, dates, "--time", "date"))
    assert fit(tmp_path, dates, "--time-format", "%d/%m/%Y").returncode == 0
    commas = write(tmp_path, "user;item;rating\nann;tea;1,234\nbob;jam;2,345\n", "commas.csv")
    assert "--decimal" in refusal(fit(tmp_path, commas))
    assert fit(tmp_path, commas, "--decimal", ",").returncode == 0
    assert "time_format" not in refusal(fit(tmp_path, dates, "--time-format", "ddmm"))
