"""Register readings as rows, for tests that want to see numbers beside each other."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import settings

from metertwin.core.register_series import RegisterColumns

# Laws are about values; how long an example takes is the machine's business.
settings.register_profile("metertwin", deadline=None)
settings.load_profile("metertwin")

Row = tuple[int, int, int, int, int]  # series, sequence, captured_at_s, received_at_s, integer
MakeColumns = Callable[..., RegisterColumns]


@pytest.fixture(scope="session")
def columns_of() -> MakeColumns:
    """Return columns of rows (series, sequence, captured_at_s, received_at_s, integer)."""

    def make(
        rows: Sequence[Row],
        quality: Sequence[int] | None = None,
        origin: Sequence[int] | None = None,
    ) -> RegisterColumns:
        table = np.array(rows, np.int64).reshape(-1, 5)
        zeros = [0] * len(table)
        return RegisterColumns(
            series=table[:, 0],
            sequences=table[:, 1],
            captured_at_us=table[:, 2] * 10**6,
            received_at_us=table[:, 3] * 10**6,
            integers=table[:, 4],
            quality=np.array(zeros if quality is None else quality, np.uint8),
            origin=np.array(zeros if origin is None else origin, np.uint8),
        )

    return make
