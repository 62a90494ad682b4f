import base64

from segdistill.report.shift import ShiftRow, shift_csv


def row(**changes):
    usual = {
        "data": "slides",
        "structure": "nucleus",
        "metric": "Dice",
        "arm": "student",
        "role": "student",
        "there": 0.5,
        "there_sd": None,
        "here": None,
        "here_sd": None,
        "fields": 4,
        "gain": -0.25,
        "gain_ends": (-0.5, 0.0),
    }
    return ShiftRow(**(usual | changes))


def test_the_table_as_a_file():
    text = base64.b64decode(shift_csv([row()]).uri.partition(",")[2]).decode("utf-8-sig").splitlines()
    assert text[0].startswith("data,structure,metric,arm,role,score there,sd there")
    assert text[1] == "slides,nucleus,Dice,student,student,0.5,,,,4,-0.25,-0.5,0.0"
