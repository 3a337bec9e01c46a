"""When a training by rewards looks at tune people. Needs the training environment."""

from __future__ import annotations

from typing import Any, Protocol

from transformers import TrainerCallback


class Looks(Protocol):
    """Who looks."""

    @property
    def collapsed(self) -> bool:
        """Whether the run is to stop."""
        ...

    def look(self, model: Any, step: int) -> None:
        """Look once."""
        ...

    def keep(self, history: Any) -> None:
        """Write down what was seen."""
        ...


class TuneLooks(TrainerCallback):  # type: ignore[misc]
    """Before the first step, every some steps, and after the last one."""

    def __init__(self, looks: Looks, steps: int) -> None:
        self._looks, self._steps = looks, steps

    def on_train_begin(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """What it starts from."""
        if state.global_step == 0:
            self._looks.look(named["model"], 0)

    def on_step_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """Stops the training where lists have collapsed into one."""
        if state.global_step % self._steps == 0 or state.global_step == state.max_steps:
            self._looks.look(named["model"], state.global_step)
            control.should_training_stop |= self._looks.collapsed

    def on_log(self, args: Any, state: Any, control: Any, **named: Any) -> None:
        """After each step."""
        self._looks.keep(state.log_history)
