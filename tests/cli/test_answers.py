"""Answers of any app are shown; what an app of somebody else calls a bill breaks nothing."""

import pytest

from metertwin.cli.answers import show_answer

BASIS = {
    "tariff": "flat",
    "tariff_version": 2,
    "tier_rule": None,
    "metering": "net_billing",
    "age_s": 420.0,
    "estimated_count": 3,
    "missing_count": 0,
    "notes": ["3 intervals [of 3 March] were estimated."],
}
LINE = {
    "kind": "energy",
    "name": "Energy",
    "period": "peak",
    "tier": 2,
    "quantity": "12.5",
    "unit": "kWh",
    "rate": "0.3",
    "amount": "3.75",
    "because": "12.5 kWh drawn [by day] at 0.3 EUR.",
}
BILL = {
    "meter": "m1",
    "month": "2026-03-01",
    "end": "2026-03-11T00:00:00Z",
    "is_final": False,
    "tariff": "flat",
    "tariff_version": 2,
    "lines": [LINE],
    "total": "3.75",
    "currency": "EUR",
}


def shown(answer: object, capsys: pytest.CaptureFixture[str]) -> str:
    show_answer("answer of [m1]", answer)
    return " ".join(capsys.readouterr().out.split())


def test_a_bill_is_shown_with_every_reason_and_what_it_rests_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "answer of [m1]" in shown({"a long name": "and a long value besides"}, capsys)
    text = shown({"bill": BILL, "projected_total": "11.20", "basis": BASIS}, capsys)
    assert "Bill of m1 for the month from 2026-03-01 so far, up to 2026-03-11 00:00 UTC" in text
    assert "Energy, peak block 2: 12.5 kWh drawn [by day] at 0.3 EUR." in text
    assert "3.75 EUR" in text
    assert "Tariff flat version 2, net billing; newest interval 7 min old, 3 estimated" in text
    assert "3 intervals [of 3 March] were estimated." in text


@pytest.mark.parametrize(
    "answer",
    [
        {"basis": {"nights": 3}},
        {"bill": {"lines": []}},
        {"bill": {**BILL, "lines": [{"name": "x"}]}},
        {"rows": [{"a": 1}, 2]},
        {"rows": [{"a": 1, "why": None}, {"b": {"c": [1]}}]},
        {"text": "[/x] [bold"},
        {"deep": {"a": [1, {"b": None}]}, "empty": []},
        [{"a": 1}],
        "words",
        None,
    ],
)
def test_any_answer_is_shown(answer: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(answer, capsys)
