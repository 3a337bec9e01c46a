"""What models write about their task is no query, and real queries of the same words stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.generation.prose import is_refusal, without_reason
from service.generation.queries import queries_in


def read(output: str) -> list[str]:
    return [q.text for q in queries_in(output, (), finished=True, max_queries=32)]


NO_QUERY = [
    "I'm sorry, but I can't assist with that request.",
    "I’m sorry, I can’t help with that.",
    "I am sorry, but I cannot generate queries for this user.",
    "I'm sorry, I can't",
    "Im sorry, but I can't provide that information",
    "Sorry, I can't help you with this.",
    "Sorry, but I don't have enough information",
    "My apologies, I cannot provide search queries for that.",
    "I apologize, but the signals are unclear.",
    "I apologize for the confusion.",
    "I can't assist with that.",
    "I cannot fulfill this request.",
    "I cannot provide any news queries.",
    "I can't help with that",
    "I won't generate content about this user",
    "I'm unable to access the internet.",
    "I am not able to comply with this.",
    "I don't have access to real-time news.",
    "I do not have the ability to browse.",
    "As an AI, I do not have opinions.",
    "As an AI language model, I cannot search the web.",
    "As a large language model I have no access to news",
    "As an artificial intelligence, I can only guess.",
    "I'm just an AI.",
    "I am a language model",
    "Unfortunately, I cannot determine the user's interests.",
    "Unfortunately I don't have signals for today",
    "No relevant queries found.",
    "There are no signals to generate queries from.",
    "Not enough information.",
    "Please provide more signals.",
    "Could you please share more about the user?",
    "The user is interested in coffee and trains.",
    "This user seems to like football",
    "The user's interests include cooking",
    "1. I'm sorry, but I can't do that.",
    "- **As an AI**, I can't know what is new.",
    "| Query | Reason |",
    "| # | Search query | Why |",
    "|---|:---:|---|",
    "Query | Reason\n--- | ---",
    "| **News Query** | **User Interest** |",
    "Interests:",
    "**User Interests:**",
    "News topics:",
    "(because the user searched for coffee)",
]


@pytest.mark.parametrize("output", NO_QUERY)
def test_a_refusal_or_a_head_is_no_query(output: str) -> None:
    assert read(output) == []
    assert read(f"{output}\nferry strike in norway") == ["ferry strike in norway"]


REASONED = [
    "coffee prices (because the user searched for espresso machines)",
    "coffee prices (because they read about it)",
    "coffee prices (based on the user's searches and interests)",
    "coffee prices (the user searched for beans)",
    "coffee prices (user likes coffee)",
    "coffee prices (since the user bought a grinder)",
    "coffee prices (inferred from signal 3)",
    "coffee prices (signals 2 and 5)",
    "coffee prices (#3)",
    "coffee prices [reason: recent purchases]",
    "coffee prices (Reason: a purchase)",
    "coffee prices (related to the user's interest in espresso)",
    "coffee prices (because the user searched",
    "coffee prices - because the user searched for beans.",
    "coffee prices — the user watched a video on roasting",
    "coffee prices, because the user bought a grinder",
    "coffee prices because the user bought a grinder",
    "coffee prices - Reason: they buy beans",
    "1. **coffee prices** (the user’s interests)",
    "| coffee prices | they read about it |",
    "| 1 | coffee prices | because of beans |",
    "| # | Why | Query |\n|---|---|---|\n| 1 | beans | coffee prices |",
    "Query | Reason\n--- | ---\ncoffee prices | beans",
]


@pytest.mark.parametrize("output", REASONED)
def test_what_explains_a_query_is_cut_off(output: str) -> None:
    assert read(output) == ["coffee prices"]


REAL = [
    "sorry seems to be the hardest word",
    "i'm sorry i love you remake",
    "I'm sorry i haven't a clue bbc",
    "sorry we missed you ken loach",
    "sorry i can't stay tour dates",
    "i can't help falling in love cover",
    "i can't help myself four tops",
    "i can't breathe protests",
    "i can't make you love me bonnie raitt",
    "(I Can't Get No) Satisfaction",
    "i don't know what you did last summer",
    "i don't have a gun trial",
    "afraid of flying courses",
    "apologies demanded from minister",
    "minister apologises for the delay",
    "AI regulation (EU)",
    "AI regulation (EU and UK)",
    "as an ai bubble looms",
    "as an ai boom lifts chip makers",
    "language model prices",
    "an ai model for weather",
    "unfortunately for arsenal injuries mount",
    "no signals from mars rover",
    "no information on missing hiker",
    "no data roaming charges eu",
    "not enough teachers",
    "there are no saints film",
    "please mind the gap exhibition",
    "can you hear me festival",
    "user data leak",
    "the users guide to tax",
    "Dune (2021)",
    "Her (film)",
    "ferry strike (Norway)",
    "interest rates (Bank of England)",
    "Because the Night (Patti Smith)",
    "Childish Gambino (Because the Internet)",
    "Celine Dion (Because You Loved Me)",
    "Reading (town) council",
    "since u been gone (live)",
    "city win 3-1 - match report",
    "storm, flood and wind warnings",
    "search and rescue: helicopter base",
    "history of signals: semaphore to 5G",
    "interest in rowing, from school to club",
    "Reason (magazine) editor",
    "note 20 battery",
    "topics in number theory",
    "news query language",
    "oslo | bergen train",
]


@pytest.mark.parametrize("query", REAL)
def test_a_real_query_of_the_same_words_stays_as_it_is(query: str) -> None:
    assert read(query) == [query]


@given(st.text(max_size=300))
def test_cutting_ends_and_leaves_the_beginning_of_the_line(line: str) -> None:
    assert line.startswith(without_reason(line))


@pytest.mark.parametrize("piece", ["(because ", "- the user ", "[", "sorry i ", "| a ", "as an "])
def test_a_spoilt_line_is_read_in_bounded_time(piece: str) -> None:
    line = piece * 200
    is_refusal(line)
    without_reason(line)
    read(line)
