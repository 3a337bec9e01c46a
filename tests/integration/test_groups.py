"""Groups of lists: sampled and scored with each prompt read once, as if it were read each time."""

from __future__ import annotations

import json
import subprocess

from tests.parts.train import ROOT, train_python

ON_A_SMALL_MODEL = """
import json
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from models.training.grpo.shared_prompts import answer_logps
from models.training.rollouts import sample_lists

torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=24, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, intermediate_size=64, pad_token_id=0,
))
END = 1
prompts = [[5, 6, 7, 8, 9], [10, 11, 12]]


def alone(prompt, answer):
    logits = model(torch.tensor([[*prompt, *answer]])).logits[0]
    logps = (logits[len(prompt) - 1 : -1] / 0.7).log_softmax(-1)
    entropy = -(logps.exp() * logps).sum(-1)
    return logps[range(len(answer)), answer].tolist(), entropy.tolist()


answers = sample_lists(model, prompts, 3, most=9, temperature=0.7, ends={END})
asked = [prompt for prompt in prompts for _ in range(3)]
order = [3, 0, 4, 1, 5, 2]  # groups need not stand together
width, longest = max(map(len, prompts)), max(map(len, answers))
ids, mask = [], []
for row in order:
    left, right = width - len(asked[row]), longest - len(answers[row])
    ids.append([0] * left + asked[row] + list(answers[row]) + [0] * right)
    mask.append([0] * left + [1] * (len(asked[row]) + len(answers[row])) + [0] * right)
ids, mask = torch.tensor(ids), torch.tensor(mask)
logps, entropies = answer_logps(model, ids, mask, longest, 0.7)
off = 0.0
for place, row in enumerate(order):
    for ours, theirs in zip((logps, entropies), alone(asked[row], answers[row])):
        padded = theirs + [0.0] * (longest - len(theirs))
        off = max(off, (ours[place] - torch.tensor(padded)).abs().max().item())
logps.sum().backward()
together = [p.grad.clone() for p in model.parameters()]
model.zero_grad()
for row in range(6):
    logits = model(torch.tensor([asked[row] + list(answers[row])])).logits[0]
    each = (logits[len(asked[row]) - 1 : -1] / 0.7).log_softmax(-1)
    each[range(len(answers[row])), answers[row]].sum().backward()
apart = max((a - p.grad).abs().max().item() for a, p in zip(together, model.parameters()))

nearly_greedy = sample_lists(model, prompts, 2, most=9, temperature=1e-4, ends={END})
greedy = []
for prompt in prompts:
    made = model.generate(torch.tensor([prompt]), max_new_tokens=9, do_sample=False,
                          eos_token_id=END, attention_mask=torch.ones(1, len(prompt)))
    greedy += [made[0, len(prompt):].tolist()] * 2
many = sample_lists(model, [[5, 6, 7]], 4000, most=1, temperature=1.0, ends={END})
drawn = torch.bincount(torch.tensor([one[0] for one in many]), minlength=24) / 4000
expected = model(torch.tensor([[5, 6, 7]])).logits[0, -1].softmax(-1)
print(json.dumps({
    "off": off, "gradients off": apart, "answers": answers,
    "as greedy": [list(one) for one in nearly_greedy] == greedy,
    "frequencies off": (drawn - expected).abs().max().item(),
    "training": model.training,
}))
"""


def test_answers_and_their_likelihood_are_those_of_prompts_read_one_by_one() -> None:
    done = subprocess.run(
        [train_python(), "-c", ON_A_SMALL_MODEL],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["off"] < 1e-4
    assert seen["gradients off"] < 1e-3
    assert seen["as greedy"]
    assert seen["frequencies off"] < 0.03
    assert seen["training"]
    assert len({len(one) for one in seen["answers"]}) > 1  # some ended before others
    assert all(1 not in one[:-1] for one in seen["answers"])
