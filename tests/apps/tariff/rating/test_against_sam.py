"""Bills beside those of NREL's SAM, over made-up rates: not a cent of difference."""

from collections import Counter

from benchmarks.rate_population import cases_of
from benchmarks.sam import OPTIONS
from benchmarks.sam_comparison import comparisons, exact_bills

SEEDS = range(1000, 1070)


def test_no_amount_differs_from_sam_by_a_cent() -> None:
    found = list(comparisons(SEEDS))
    differing = [text for comparison in found for text in comparison.differing]
    assert not differing, "\n".join(differing[:10])
    per_option = Counter(comparison.case.name for comparison in found)
    assert len(per_option) == len(OPTIONS)
    assert min(per_option.values()) >= 20


def test_the_rates_compared_are_of_all_kinds() -> None:
    tariffs = [case.tariff for seed in SEEDS for case in cases_of(seed)[0][-1:]]
    has_blocks = [t for t in tariffs if getattr(t.energy, "tier_rule", None)]
    assert len(has_blocks) > 20
    assert len([t for t in tariffs if len(t.demand) == 2]) > 3
    assert len([t for t in tariffs if t.minimum_per_year]) > 5


def test_the_two_tier_rules_give_different_bills_for_the_same_usage() -> None:
    differing = 0
    for seed in SEEDS[:30]:
        cases, usage, dynamics = cases_of(seed)
        plain = [case for case in cases if not case.has_generation]
        if len(plain) == 2 and len(plain[0].tariff.energy.tiers) > 1:  # type: ignore[union-attr]
            share, chronological = (exact_bills(case, usage, dynamics) for case in plain)
            differing += share != chronological
    assert differing > 3
