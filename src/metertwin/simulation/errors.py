"""Every error the simulation raises on purpose."""

from metertwin.core.errors import InvalidInputError, MeterTwinError


class SimulationConfigError(InvalidInputError):
    """The configuration asks for something the simulation cannot be."""

    code = "simulation.config"


class ScenarioError(InvalidInputError):
    """The scenario file breaks its schema; the sentence lists every problem with its line."""

    code = "simulation.scenario"


class ProfileFileError(InvalidInputError):
    """The file of measured profiles breaks its schema; the sentence lists problems with lines."""

    code = "simulation.profile_file"


class PowerFlowError(MeterTwinError):
    """The feeder has no solution: it is loaded beyond what its cables can carry."""

    code = "simulation.power_flow"


PROBLEMS_SHOWN_COUNT = 10


def problem_list(where: str, problems: list[str]) -> str:
    """Return one message for several problems, the first `PROBLEMS_SHOWN_COUNT` in full."""
    shown = problems[:PROBLEMS_SHOWN_COUNT]
    more = len(problems) - len(shown)
    tail = f" And {more} more." if more else ""
    return f"{where}: " + " ".join(shown) + tail
