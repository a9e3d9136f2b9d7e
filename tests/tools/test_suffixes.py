"""The command that grades forecasts of suffixes, and what it refuses; the stored table."""

import pandas as pd
from small import names_in, refused

from helpers.support.files import DATA
from helpers.tools import suffixes
from helpers.training import finished_run
from helpers.uses.suffixes import WAYS


def test_the_command_grades_network_and_table(built_in, tmp_path, monkeypatch, capsys):
    config, out = built_in(tgt_seq_len=4), tmp_path / "tables" / "suffixes.csv"
    finished_run(config)
    monkeypatch.setattr(suffixes, "BUILT_IN", config)
    suffixes.main(["--out", str(out), "--prefixes", "12", "--samples", "3"])
    table, said = pd.read_csv(out), capsys.readouterr().out
    assert table["log"].unique().tolist() == ["workplace"]
    assert table["who"].tolist() == ["truth", *["network"] * 6, *["table"] * 6]
    assert table["way"].tolist()[1:] == [*WAYS, *WAYS] and (table["prefixes"] == 12).all()
    assert f"{table['similarity'][1]:.3f}" in said and str(out) in said


def test_what_cannot_be_graded_is_refused_before_anything_is_read(config_file, tmp_path):
    config, out = config_file(), ["--out", str(tmp_path / "x.csv")]
    refused(lambda: suffixes.main(["--samples", "0", *out]), start="--samples 0: ")
    refused(lambda: suffixes.main([str(config), *out]), "holds no run", "train")
    both = [str(config), str(config), *out]
    refused(lambda: suffixes.main(both), "'log'", "rename", start=config)
    assert "x.csv" not in names_in(tmp_path)


def test_the_stored_table_has_the_built_in_log_and_no_forecast_beats_the_horizon():
    table = pd.read_csv(DATA / "suffixes.csv")
    assert table["log"].unique()[0] == "workplace"
    best = table[table["who"] == "truth"].set_index("log")["similarity"]
    known = table.dropna(subset="similarity")
    assert (known["similarity"] <= known["log"].map(best) + 1e-9).all()
    assert known.groupby(["log", "who"]).size().drop("truth", level=1).eq(4).all()
