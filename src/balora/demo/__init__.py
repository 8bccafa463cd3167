"""The demonstration: LoRA, PiSSA and BA-LoRA on a small world whose truth is known, measured and set side by side."""

from balora.demo.comparison import DemoResult, run_demo
from balora.demo.plan import METHODS, DemoPlan, Method, full_plan, quick_plan

__all__ = ["METHODS", "DemoPlan", "DemoResult", "Method", "full_plan", "quick_plan", "run_demo"]
