"""How likely a model holds the answers of a group, each prompt read once. Needs torch.

Rows of a batch that have the same prompt are laid one behind the other into one row: the prompt,
then its answers, each of which sees the prompt and itself. Eight answers of forty tokens to a
prompt of 250 are 570 tokens so, instead of 2,320.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def answer_logps(
    model: Any, ids: Tensor, mask: Tensor, answers: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probabilities and entropies (nats) of the answers' tokens, each (rows, answers).

    `ids` (rows, width) are prompts, padded on the left, and in the last `answers` columns answers,
    padded on the right; `mask` is 1 where there is a token. Where there is none both are 0. Scores
    are divided by `temperature`, as they were when the answers were drawn.
    """
    packed = _Packed(ids, mask, answers)
    outputs = model(
        input_ids=packed.ids,
        attention_mask=packed.sees,
        position_ids=packed.positions,
        logits_to_keep=packed.kept,
        use_cache=False,
    )
    logits = outputs.logits[packed.group, packed.scored - packed.first].float() / temperature
    all_logps = logits.log_softmax(-1)
    tokens = ids[:, -answers:][packed.said]
    with torch.no_grad():
        uncertain = -(all_logps.exp() * all_logps).sum(-1)
    logps = _spread(all_logps.gather(-1, tokens[:, None])[:, 0], packed.said)
    return logps, _spread(uncertain, packed.said)


def _spread(values: Tensor, said: Tensor) -> Tensor:
    found = values.new_zeros(said.shape)
    return found.masked_scatter(said, values)


class _Packed:
    """Rows of the same prompt as one row.

    ids (groups, length), positions (groups, length), sees (groups, 1, length, length): as the model
    reads them. said (rows, answers): where answers have tokens; for each of these, in order, group
    and scored: the place whose scores are of this token. first: the first place that has scores.
    """

    def __init__(self, ids: Tensor, mask: Tensor, answers: int) -> None:
        width = ids.shape[1] - answers
        said = mask[:, width:].bool()
        prompts = torch.cat([ids[:, :width], mask[:, :width]], dim=1)
        _, group = torch.unique(prompts, dim=0, return_inverse=True)
        lengths = said.sum(1)
        groups = int(group.max()) + 1
        begins = torch.zeros(len(ids), dtype=torch.long, device=ids.device)
        ends = [width] * groups
        for row, of in enumerate(group.tolist()):
            begins[row] = ends[of]
            ends[of] += int(lengths[row])
        length = max(ends)
        self.ids = ids.new_zeros(groups, length)
        segment = ids.new_full((groups, length), -1)
        self.positions = ids.new_zeros(groups, length)
        for row, of in enumerate(group.tolist()):
            prompt, begin, long = mask[row, :width], int(begins[row]), int(lengths[row])
            self.ids[of, :width] = ids[row, :width]
            segment[of, :width] = prompt - 1
            self.positions[of, :width] = (prompt.cumsum(0) - 1).clamp(min=0)
            here = slice(begin, begin + long)
            self.ids[of, here] = ids[row, width : width + long]
            segment[of, here] = row + 1
            self.positions[of, here] = int(prompt.sum()) + torch.arange(long, device=ids.device)
        place = torch.arange(length, device=ids.device)
        before = place[None, :, None] >= place[None, None, :]
        same = segment[:, :, None] == segment[:, None, :]
        of_prompt = (segment == 0)[:, None, :]
        # What is no token sees itself: a row that sees nothing would have no scores at all.
        alone = torch.eye(length, dtype=torch.bool, device=ids.device)[None]
        told = (segment >= 0)[:, :, None]
        self.sees = ((before & (same | of_prompt) & told) | alone)[:, None]
        self.first = width - 1
        self.kept = torch.arange(self.first, length, device=ids.device)
        self.said = said
        rows, columns = said.nonzero(as_tuple=True)
        self.group = group[rows]
        inside = begins[rows] + columns - 1
        self.scored = torch.where(columns == 0, torch.full_like(inside, width - 1), inside)
