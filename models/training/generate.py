"""Lists by a model in training, with the trainer's own generation. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.signals.prompt import Tokenizer


def write_lists(
    model: Any, prompts: Sequence[Sequence[int]], tokenizer: Tokenizer, most: int
) -> list[tuple[str, bool]]:
    """The greedy answer to each prompt, and whether it ended within `most` tokens by itself.

    All prompts go in one batch.
    """
    import torch

    was_training = model.training
    model.eval()
    width = max(map(len, prompts))
    pad = model.config.pad_token_id or 0
    ids = torch.tensor([[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    with torch.no_grad():
        made = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=most,
            do_sample=False,
        )
    model.train(was_training)
    written = []
    for row in made[:, width:].tolist():
        ended = [i for i, token in enumerate(row) if token in tokenizer.control_ids]
        text = tokenizer.decode(tuple(row[: ended[0]] if ended else row))
        written.append((text, bool(ended)))
    return written
