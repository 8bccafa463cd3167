"""Small worlds with known truth and known flaws, tiny models pre-trained on them, exact scores of a fine-tune."""

from balora.lab.base import BaseModel, base_model
from balora.lab.classifier import ClassifierReading
from balora.lab.corpus import Corpus, Sentence, write_corpus
from balora.lab.measure import Exam, LabScores, LogitsFunction, logits_of
from balora.lab.prepared import LabSettings, PreparedWorld, exam_on, measure_run, prepare
from balora.lab.pretraining import OnStep, PretrainingSettings, pretrain
from balora.lab.questions import Question, questions_about, write_questions
from balora.lab.task import CityTask, TaskFiles, TaskRow, TaskSettings, build_task, write_task
from balora.lab.vocabulary import build_tokenizer, vocabulary
from balora.lab.world import Fact, World, WorldSettings, build_world

__all__ = [
    "BaseModel",
    "CityTask",
    "ClassifierReading",
    "Corpus",
    "Exam",
    "Fact",
    "LabScores",
    "LabSettings",
    "LogitsFunction",
    "OnStep",
    "PreparedWorld",
    "PretrainingSettings",
    "Question",
    "Sentence",
    "TaskFiles",
    "TaskRow",
    "TaskSettings",
    "World",
    "WorldSettings",
    "base_model",
    "build_task",
    "build_tokenizer",
    "build_world",
    "exam_on",
    "logits_of",
    "measure_run",
    "prepare",
    "pretrain",
    "questions_about",
    "vocabulary",
    "write_corpus",
    "write_questions",
    "write_task",
]
