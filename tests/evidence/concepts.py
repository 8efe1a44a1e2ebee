"""Forty concepts to search for, written down before any of them was searched for.

What is acceptable
    A feature is acceptable for a concept if a plain reader who sees only its strongest examples,
    without label, layer or rank, would say that it is about the concept: in at least six of ten
    examples the word on which it fires, or the words close before it, are an instance of what
    ``means`` says. A feature that is about something broader or narrower is acceptable where its
    examples still pass (a feature of puppies is one of dogs; one of all nouns is not).
    Features that fire on the chat's markup never are.

How it is measured
    Precision at k is the share of acceptable features among the first k that the search returns.
    A search that returns fewer than k is charged for those that are missing, even where fewer than
    k acceptable features exist at all: how many do is not known without looking at all of them.
    (Among all that these searches return, three of the forty concepts have fewer than ten.)
"""

from __future__ import annotations

from typing import NamedTuple


class Concept(NamedTuple):
    """What is typed, and what is meant by it."""

    query: str
    means: str


CONCEPTS = (
    # Things and creatures
    Concept("dogs", "dogs, puppies, breeds of dog, what dogs do"),
    Concept("birds", "birds, kinds of bird, their wings, nests and flight"),
    Concept("farm animals", "cows, pigs, sheep, horses, goats, poultry; livestock"),
    Concept("insects", "insects and the like: bees, ants, flies, butterflies, spiders"),
    Concept("trees", "trees, kinds of tree, forests, leaves, wood that grows"),
    Concept("fruit", "fruit and kinds of fruit"),
    Concept("cars", "cars, driving, parts and makes of cars"),
    Concept("clothes", "clothes, shoes, what is worn, fabric"),
    Concept("buildings", "houses, buildings, parts of them"),
    Concept("body parts", "parts of a human or animal body"),
    # Life
    Concept("money", "money, prices, pay, currencies"),
    Concept("cooking", "cooking, recipes, preparing food"),
    Concept("illness", "illnesses, symptoms, being sick"),
    Concept("death", "dying, death, the dead, killing"),
    Concept("family", "family members, parents, children, relatives"),
    Concept("school", "schools, teachers, students, classes"),
    Concept("crime", "crimes, criminals, police, prison"),
    Concept("war", "war, soldiers, battles, armies, weapons of war"),
    Concept("religion", "God, faith, church, prayer, holy books, any religion"),
    Concept("music", "music, songs, instruments, musicians"),
    Concept("sports", "sports, games of a league, players, teams, matches"),
    Concept("elections", "elections, votes, candidates, campaigns"),
    Concept("weather", "weather: rain, snow, wind, storms, temperature outside"),
    Concept("the sea", "the sea, oceans, coasts, ships, waves"),
    Concept("outer space", "planets, stars, the moon, space travel"),
    Concept("computers", "computers, software, programming, the internet"),
    Concept("fear", "fear, being afraid, worry, terror"),
    Concept("love", "love, affection, romance"),
    # Names, numbers, time
    Concept("months", "names of months"),
    Concept("days of the week", "names of the days of the week"),
    Concept("colours", "names of colours"),
    Concept("countries", "names of countries and their peoples"),
    Concept("years", "years written as numbers, such as 1984"),
    Concept("units of measurement", "metres, miles, kilograms, degrees, hours as units"),
    # Language
    Concept("question words", "who, what, where, when, why, how, which"),
    Concept("negation", "not, never, no, none, without, n't"),
    Concept("past tense verbs", "verbs in the past tense"),
    Concept("comparisons", "more, less, better, -er and -est, as … as, than"),
    Concept("quotation marks", "quotation marks, opening or closing"),
    Concept("French words", "words of the French language"),
)
