"""Sampled lists by a model in training, several a prompt. Needs torch.

A prompt is read once, whatever the number of its lists: on a CPU, reading prompts is most of the
work of a group. Answers that have ended leave the batch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any


def sample_lists(
    model: Any,
    prompts: Sequence[Sequence[int]],
    each: int,
    *,
    most: int,
    temperature: float,
    ends: Collection[int],
) -> list[tuple[int, ...]]:
    """`each` answers of every prompt, prompt after prompt, drawn from the whole vocabulary.

    An answer is its token ids with the one of `ends` that it ends in; one without is cut after
    `most` tokens. Drawn with torch's own generator: `torch.manual_seed` makes it the same again.
    """
    import torch

    was_training = model.training
    model.eval()
    width = max(map(len, prompts))
    filler = next(iter(ends))
    ids = torch.tensor([[filler] * (width - len(one)) + list(one) for one in prompts])
    mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in prompts])
    ids, mask = ids.to(model.device), mask.to(model.device)
    ending = torch.tensor(sorted(ends), device=model.device)
    with torch.no_grad():
        read = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            use_cache=True,
            logits_to_keep=1,
        )
        cache = read.past_key_values
        cache.batch_repeat_interleave(each)
        mask = mask.repeat_interleave(each, 0)
        scores = read.logits[:, -1].repeat_interleave(each, 0)
        going = torch.arange(len(scores), device=model.device)
        written: list[list[int]] = [[] for _ in range(len(scores))]
        for count in range(1, most + 1):
            drawn = torch.multinomial((scores.float() / temperature).softmax(-1), 1)
            for place, token in zip(going.tolist(), drawn[:, 0].tolist(), strict=True):
                written[place].append(token)
            on = (~torch.isin(drawn[:, 0], ending)).nonzero()[:, 0]
            if count == most or not len(on):
                break
            if len(on) < len(going):
                going, drawn, mask = going[on], drawn[on], mask[on]
                cache.batch_select_indices(on)
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            step = model(
                input_ids=drawn,
                attention_mask=mask,
                position_ids=mask.sum(1, keepdim=True) - 1,
                past_key_values=cache,
                use_cache=True,
            )
            scores = step.logits[:, -1]
    model.train(was_training)
    return [tuple(one) for one in written]
