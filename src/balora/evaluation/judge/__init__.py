"""MT-Bench: answers in two turns, graded by a judge model behind any OpenAI-compatible endpoint."""

from balora.evaluation.judge.answers import Answer, read_answers, write_answers
from balora.evaluation.judge.grading import Judgement, write_judgements
from balora.evaluation.judge.judging import CostEstimate, estimate_cost, judge_answers
from balora.evaluation.judge.prompts import JudgePrompts, load_prompts
from balora.evaluation.judge.questions import Question, read_questions
from balora.evaluation.judge.scores import JudgeScores, Score, score_judgements
from balora.evaluation.judge.settings import JudgeSettings

__all__ = [
    "Answer",
    "CostEstimate",
    "JudgePrompts",
    "JudgeScores",
    "JudgeSettings",
    "Judgement",
    "Question",
    "Score",
    "estimate_cost",
    "judge_answers",
    "load_prompts",
    "read_answers",
    "read_questions",
    "score_judgements",
    "write_answers",
    "write_judgements",
]
