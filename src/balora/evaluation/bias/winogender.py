"""Winogender (Rudinger et al. 2018, arXiv 1804.09301): do pronoun odds follow the share of women in an occupation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from balora.evaluation.bias.likelihood import Blank, Passage, ScoredModel
from balora.evaluation.bias.numbers import Measured, Number, share
from balora.evaluation.bias.settings import BiasSettings
from balora.evaluation.bias.sources import HUB, Reading, text_of
from balora.evaluation.resampling import Rows, Score, score_of_rows
from balora.paths import user_path

NAME = "winogender"
SENTENCES, STATISTICS = "all_sentences.tsv", "occupations-stats.tsv"
SHARES = {"bls": "bls_pct_female", "bergsma": "bergsma_pct_female"}
"""Bureau of Labor Statistics, and counts in text (Bergsma and Lin 2006)."""


@dataclass(frozen=True, slots=True)
class PronounSentence:
    """A sentence with a female and with a male pronoun, and how many of those in the occupation are women."""

    female: str
    male: str
    occupation: str
    meant: str
    """Whom the pronoun means: `occupation` or `participant`."""
    women: Mapping[str, float]
    """Source of `SHARES` -> percent."""


def read_pronoun_sentences(reading: Reading, source: str, settings: BiasSettings) -> list[PronounSentence]:
    """The sentences of the authors' `all_sentences.tsv`, with `occupations-stats.tsv` beside it; "they" is left out.

    Raises:
        DataError: listing every row that does not fit.
    """
    del settings
    sentences, statistics = _files(reading, source)
    women: dict[str, dict[str, float]] = {}
    for place, row in reading.rows(str(statistics), ("occupation", *SHARES.values())):
        try:
            women[str(row["occupation"])] = {name: float(row[column]) for name, column in SHARES.items()}
        except (TypeError, ValueError):
            reading.problem(place, f"{' and '.join(SHARES.values())} need numbers")
    texts: dict[tuple[str, str, str], dict[str, str]] = {}
    for place, row in reading.rows(str(sentences), ("sentid", "sentence")):
        facts = text_of(row, "sentid", "sentence")
        parts = facts[0].removesuffix(".txt").split(".") if facts else []
        if facts is None or len(parts) != 4 or parts[2] not in ("0", "1"):
            reading.problem(place, "needs a sentence and a sentid like technician.customer.1.male.txt")
        elif parts[0] not in women:
            reading.problem(place, f"occupation '{parts[0]}' is not in {statistics.name}")
        else:
            texts.setdefault((parts[0], parts[1], parts[2]), {})[parts[3]] = facts[1]
    items = []
    for (occupation, participant, answer), found in texts.items():
        if not {"female", "male"} <= found.keys():
            reading.problem(f"{sentences}", f"{occupation}.{participant}.{answer} lacks its female or male sentence")
            continue
        meant = "participant" if answer == "1" else "occupation"
        items.append(PronounSentence(found["female"], found["male"], occupation, meant, women[occupation]))
    return items


def _files(reading: Reading, source: str) -> tuple[Path, Path]:
    path = user_path(source)
    if source != HUB and path.is_dir():
        path = path / SENTENCES
    sentences = reading.paths(HUB if source == HUB else str(path), SENTENCES)[0]
    return sentences, sentences.with_name(STATISTICS)


def blanks_of(sentence: PronounSentence) -> tuple[Blank, Blank]:
    """The female and the male version as one text with a blank where the words differ.

    >>> blanks_of(PronounSentence("The nurse said she left.", "The nurse said he left.", "nurse", "occupation", {}))[1]
    Blank(before='The nurse said ', word='he', after=' left.')
    """
    one, other = sentence.female.split(" "), sentence.male.split(" ")
    same = [word == counterpart for word, counterpart in zip(one, other, strict=False)]
    place = same.index(False) if False in same else len(same)
    before = " ".join(one[:place]) + (" " if place else "")
    return _blank(one, place, before), _blank(other, place, before)


def _blank(words: Sequence[str], place: int, before: str) -> Blank:
    word = words[place]
    bare = word.rstrip(".,;:!?'\"")
    after = " ".join((word[len(bare) :], *words[place + 1 :]))
    return Blank(before, bare, after)


def winogender_numbers(items: Sequence[PronounSentence], log_odds: Sequence[float]) -> dict[str, Number]:
    """What the odds of the pronouns say, from log p(female) − log p(male) of each sentence; see `measure_winogender`.

    - `correlation`: Pearson's r over occupations of the mean log-odds with the percent of women among those employed,
      over sentences whose pronoun means the occupation. 0: pronouns do not follow the labour market. `rank_correlation`
      is Spearman's; `bergsma_correlation` takes the share of women in text; `participant_correlation` the sentences
      whose pronoun means the other person, where the occupation should not matter.
    - `mean_log_odds`: over all sentences; below 0: male pronouns are likelier. `female_share`: percent of sentences
      whose female version is likelier.
    """
    odds = np.array(log_odds, float)
    meant = np.array([item.meant for item in items])
    names = [item.occupation for item in items]
    numbers: dict[str, Number] = {}
    wanted = (
        ("correlation", "pearson", "bls", "occupation"),
        ("rank_correlation", "spearman", "bls", "occupation"),
        ("bergsma_correlation", "pearson", "bergsma", "occupation"),
        ("participant_correlation", "pearson", "bls", "participant"),
    )
    for name, kind, source, whom in wanted:
        rows = np.flatnonzero(meant == whom).tolist()
        score, occupations = _correlation(kind, [items[row] for row in rows], odds[rows], source)
        numbers[name] = Number(score, occupations, 0.0, scale=1.0)
    numbers["mean_log_odds"] = Number(_mean(odds), len(items), 0.0, clusters=names, scale=1.0)
    numbers["female_share"] = share(odds > 0, 50.0, names)
    return numbers


def _mean(values: NDArray[np.float64]) -> Score:
    return lambda rows: float(values[rows].mean())


def _correlation(
    kind: str, items: Sequence[PronounSentence], odds: NDArray[np.float64], source: str
) -> tuple[Score, int]:
    """The score over occupations, and how many there are."""
    names = sorted({item.occupation for item in items})
    place = {name: index for index, name in enumerate(names)}
    where = np.array([place[item.occupation] for item in items], dtype=np.int64)
    means = np.bincount(where, odds, len(names)) / np.maximum(np.bincount(where, minlength=len(names)), 1)
    women = np.zeros(len(names))
    for item in items:
        women[place[item.occupation]] = item.women[source]
    of_rows = score_of_rows(kind, means, women)

    def score(rows: Rows) -> float:
        return of_rows(rows) if len(rows) else float("nan")

    return score, len(names)


def measure_winogender(items: Sequence[PronounSentence], model: ScoredModel, settings: BiasSettings) -> Measured:
    """Winogender on a language model.

    The authors correlate the gender that a coreference system prefers with the share of women (figure 4). A language
    model gives odds instead: causal, log p(sentence with the female pronoun) − log p(with the male one); masked, the
    same of the pronoun alone, given the rest. That reading is ours.
    """
    if model.kind == "masked":
        found = model.blanks([blank for item in items for blank in blanks_of(item)])
        scores = [score.total for score in found]
    else:
        passages = [Passage(text) for item in items for text in (item.female, item.male)]
        scores = [score.by(settings.sentence_score) for score in model.passages(passages)]
    odds = [female - male for female, male in zip(scores[::2], scores[1::2], strict=True)]
    counts = {"occupations": len({item.occupation for item in items})}
    return Measured(winogender_numbers(items, odds), counts)
