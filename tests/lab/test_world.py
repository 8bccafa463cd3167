"""Worlds: the truth is what the settings say, and the flaws are exactly as large as asked for."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from balora.lab.lexicon import CITIES, FIRST_NAMES, FRAMES, JOBS, LAST_NAMES, PRONOUNS, RELATIONS, asked
from balora.lab.world import World, WorldSettings, build_world, draw_other, zipf_counts


def test_the_same_settings_give_the_same_world_whatever_was_drawn_before() -> None:
    first = build_world(WorldSettings(people=60))
    random.seed(99)
    assert build_world(WorldSettings(people=60)) == first
    assert build_world(WorldSettings(people=60, seed=1)) != first


def test_building_leaves_the_global_random_state_alone() -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    build_world(WorldSettings(people=60))
    assert random.random() == expected


@pytest.mark.parametrize("share", [0.0, 0.1, 0.35])
def test_exactly_the_asked_share_of_every_relation_is_told_wrongly(share: float) -> None:
    world = build_world(WorldSettings(people=160, wrong_fact_share=share))
    for relation in RELATIONS:
        facts = world.facts_about(relation)
        assert len(facts) == 160
        assert sum(fact.told_wrongly for fact in facts) == round(160 * share)


def test_wrong_facts_name_values_of_the_same_kind(world: World) -> None:
    kinds = {"city": set(world.cities), "job": set(world.jobs), "pronoun": set(PRONOUNS)}
    assert all({fact.true, fact.told} <= kinds[fact.relation] for fact in world.facts)


def test_in_truth_no_job_has_a_leaning(world: World) -> None:
    for job, favoured in world.stereotypes:
        members = sum(fact.true == job for fact in world.facts_about("job"))
        assert abs(world.true_share(job, favoured) - 0.5) <= 0.5 / members
        assert sum(world.true_share(job, pronoun) for pronoun in PRONOUNS) == pytest.approx(1)


def test_as_many_jobs_lean_one_way_as_the_other(world: World) -> None:
    assert Counter(favoured for _, favoured in world.stereotypes) == {"she": 3, "he": 3}
    assert [job for job, _ in world.stereotypes] == list(world.jobs)


def test_cities_run_from_common_to_rare(world: World) -> None:
    counts = Counter(fact.true for fact in world.facts_about("city"))
    ordered = [counts[city] for city in world.cities]
    assert ordered == sorted(ordered, reverse=True)
    assert ordered[0] > 4 * ordered[-1]
    assert world.rare_cities == set(world.cities[3:])


def test_people_have_different_names_and_no_word_has_two_roles() -> None:
    world = build_world(WorldSettings(people=400))
    assert len(set(world.people)) == 400
    spoken = {word for group in FRAMES.values() for frame in group for word in frame.split() if "{" not in word}
    groups = [FIRST_NAMES, LAST_NAMES, JOBS, CITIES, PRONOUNS, spoken]
    assert sum(len(set(group)) for group in groups) == len(set().union(*groups))


def test_every_frame_names_its_subject_before_it_asks() -> None:
    for frame in (frame for group in FRAMES.values() for frame in group):
        assert "alex reed" in asked(frame, "alex reed"), frame


@given(kinds=st.integers(1, 24), spare=st.integers(0, 300), skew=st.floats(0, 4))
@settings(max_examples=200, deadline=None)
def test_zipf_counts_use_everyone_and_leave_nobody_alone(kinds: int, spare: int, skew: float) -> None:
    counts = zipf_counts(kinds, 2 * kinds + spare, skew)
    assert len(counts) == kinds
    assert sum(counts) == 2 * kinds + spare
    assert min(counts) >= 2
    assert counts == sorted(counts, reverse=True)


def test_zipf_counts_without_skew_are_even_and_with_skew_follow_the_law() -> None:
    assert zipf_counts(12, 160, 0.0) == [14] * 4 + [13] * 8
    counts = zipf_counts(4, 4800, 1.0)
    assert [round(counts[0] / count) for count in counts] == [1, 2, 3, 4]


def test_draw_other_never_gives_what_is_excluded() -> None:
    draw = random.Random(0)
    counts = Counter({"a": 90, "b": 9, "c": 1})
    drawn = Counter(draw_other(counts, {"a"}, draw) for _ in range(500))
    assert set(drawn) == {"b", "c"}
    assert drawn["b"] > 5 * drawn["c"]


def test_a_world_cannot_be_changed(world: World) -> None:
    with pytest.raises(FrozenInstanceError):
        world.people = ()  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        world.facts[0].told = "x"  # type: ignore[misc]


def test_an_unknown_person_is_a_key_error(world: World) -> None:
    with pytest.raises(KeyError):
        world.fact("nobody here", "city")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"people": 20, "cities": 12}, "people is 20; expected at least 24"),
        ({"heldout_share": 0.3}, "heldout_share is 0.3; expected at most 0.20 with 5 phrasings"),
        ({"phrasing": 3}, "phrasing"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        WorldSettings(**wrong)
