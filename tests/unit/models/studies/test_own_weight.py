"""What a list adds to the own signals, at each weight of theirs."""

from __future__ import annotations

from models.studies.own_weight import weigh
from tests.unit.models.builders import queries, reader, signal, small_set

HEARD = reader("heard", "chess", signal("chess champion"))
UNHEARD = reader("unheard", "ferry", signal("quantum foam"))


def test_a_list_that_finds_what_the_signals_do_not_gains_at_every_weight() -> None:
    lists = {"unheard": queries("battery ferry")}
    alone, found = weigh(small_set(HEARD, UNHEARD), lists, (0.5, 4.0))
    assert alone == 0.5
    assert list(found) == [0.5, 4.0]
    for mean, gain in found.values():
        assert mean == 1.0
        assert gain.mean == 0.5


def test_without_lists_nothing_is_gained() -> None:
    alone, found = weigh(small_set(HEARD, UNHEARD), {}, (1.0,))
    mean, gain = found[1.0]
    assert mean == alone
    assert gain.mean == gain.low == gain.high == 0.0
