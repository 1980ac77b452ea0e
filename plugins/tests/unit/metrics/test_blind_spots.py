"""Which scenarios' taxes stand out from the others'."""

from __future__ import annotations

from math import isnan

import pytest

from safemlrm.metrics.blind_spots import Discordant, blind_spots


class TestBlindSpots:
    def test_the_scenario_that_stands_out_is_seen(self) -> None:
        scenarios = {name: Discordant(6, 4, 100) for name in ("fraud", "sex", "privacy")}
        spots = blind_spots({**scenarios, "malware": Discordant(40, 4, 97)})
        assert spots["malware"].value == pytest.approx(36 / 97 - 6 / 300)
        assert spots["malware"].low > 0.2
        assert spots["fraud"].value == pytest.approx(0.02 - 40 / 297)
        assert list(spots) == ["fraud", "sex", "privacy", "malware"]

    def test_equal_scenarios_do_not_stand_out(self) -> None:
        spots = blind_spots({name: Discordant(9, 3, 97) for name in "abc"})
        for spot in spots.values():
            assert spot.value == pytest.approx(0.0)
            assert spot.low < 0.0 < spot.high

    def test_one_scenario_has_nothing_to_stand_out_from(self) -> None:
        spot = blind_spots({"only": Discordant(9, 3, 97)})["only"]
        assert isnan(spot.value)
        assert (spot.low, spot.high, spot.n) == (-2.0, 2.0, 97)
