"""The thirteen silent faults that RL frameworks have shipped, one named test each: training "still sort of works" with
every one of them, so only a test can tell. Real tokenizers, engine, learner; numbers against plain references."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mull.algo.advantages import advantages
from mull.algo.config import AlgorithmConfig
from mull.algo.samples import live_samples, sample_of
from mull.core.chat import Chat
from mull.core.config import parse_config
from mull.core.errors import UserError
from mull.core.rows import Reading, rollout_rows
from mull.core.run import StageDir
from mull.core.types import Completion, FinishReason, Group, Message, Problem, Scored, Verdict, VerdictKind
from mull.engine.base import Request, Sampling
from mull.engine.local import LocalEngine
from mull.model.tiny import TinyConfig, small_model, word_tokenizer
from mull.rewards.score import RewardConfig, each, scorer
from mull.tasks.iterator import TaskIterator
from mull.tasks.registry import load_task
from mull.tasks.world.words import BOS, EOS, PAD, vocabulary
from mull.train.learner import Learner
from mull.train.loop import Loop
from mull.train.optim import OptimConfig
from mull.train.rl import RLConfig, train_rl
from mull.verify import check_gold, verify

DAPO = AlgorithmConfig(name="dapo")
STALE = -1
PROBLEM = Problem("p", (Message("user", "?"),), "number", {"answer": "42"})


def learner(model: torch.nn.Module, algorithm: AlgorithmConfig = DAPO, **more: Any) -> Learner:
    more.setdefault("optim", OptimConfig(lr=1e-2, grad_clip=0.0))
    return Learner(model, total_steps=100, algorithm=algorithm, **more)


def after(model: torch.nn.Module, groups: list[Group], weights: list[list[float]], **more: Any) -> torch.Tensor:
    """All weights of `model` after one step down its gradient, as one vector (AdamW's would hide the scale)."""
    one = learner(model, **more)
    trained = [p for p in model.parameters() if p.requires_grad]
    one.optimizer.step = lambda share: [p.data.sub_(p.grad) for p in trained if p.grad is not None] and 0.0  # type: ignore[method-assign]
    one.update(groups, weights)
    return torch.cat([p.detach().flatten() for p in trained])


def test_fault_01_the_loss_scale_depends_on_how_the_batch_is_cut(llama, rollouts) -> None:
    groups = rollouts(version=STALE)
    weights = advantages(groups, DAPO)
    want = after(llama(), groups, weights, micro_batch_tokens=10_000)
    for tokens in (1, 17, 50):
        assert torch.allclose(after(llama(), groups, weights, micro_batch_tokens=tokens), want, atol=1e-9)
    assert torch.allclose(after(llama(), groups[::-1], weights[::-1], micro_batch_tokens=33), want, atol=1e-9)


def test_fault_02_truncated_samples_leave_the_numerator_and_not_the_denominator(llama, rollouts) -> None:
    masked = AlgorithmConfig(name="dapo", mask_truncated=True)
    groups = rollouts(version=STALE)
    weights = advantages(groups, masked)
    whole = [[not s.completion.truncated for s in g.samples] for g in groups]
    assert not all(all(row) for row in whole) and any(any(row) for row in whole)
    kept = [replace(g, samples=tuple(s for s, on in zip(g.samples, row, strict=True) if on))
            for g, row in zip(groups, whole, strict=True)]  # fmt: skip
    kept_weights = [[w for w, on in zip(ws, row, strict=True) if on] for ws, row in zip(weights, whole, strict=True)]
    found = after(llama(), groups, weights, algorithm=masked)
    assert torch.allclose(found, after(llama(), kept, kept_weights), atol=1e-12)
    assert not torch.allclose(found, after(llama(), groups, weights), atol=1e-6)


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_fault_03_the_kl_is_maximised(llama, rollouts, estimator: str) -> None:
    """With next to no advantage only the KL pushes: the policy must come nearer to the reference on the very tokens."""
    algorithm = AlgorithmConfig(name="dapo", kl_coefficient=1.0, kl_estimator=estimator)  # type: ignore[arg-type]
    model, reference, groups = llama(), llama(seed=1), rollouts(prompts=6, version=STALE)
    one = learner(model, algorithm, reference=reference, optim=OptimConfig(lr=3e-3))
    samples = [sample_of(s.completion) for g in groups for s in g.samples]

    def distance() -> float:
        pairs = zip(one.logprobs(samples), learner(llama(seed=1)).logprobs(samples), strict=True)
        return float(torch.cat([(a - b).abs() for a, b in pairs]).mean())

    before = distance()
    for _ in range(12):
        one.update(groups, [[1e-9] * len(g.samples) for g in groups])
    assert distance() < 0.8 * before


def test_fault_04_a_group_mixes_prompts_or_looks_at_one_member() -> None:
    def scored(prompt: tuple[int, ...], reward: float) -> Scored:
        return Scored(Completion(prompt, (3,), (-1.0,), FinishReason.STOP), Verdict(VerdictKind.WRONG), reward)

    with pytest.raises(ValueError, match="one prompt"):
        Group(PROBLEM, (scored((1,), 0.0), scored((2,), 1.0)))
    groups = [Group(PROBLEM, tuple(scored((1,), r) for r in rewards)) for rewards in ([0, 1, 1, 1], [10, 10, 14, 10])]
    assert advantages(groups, AlgorithmConfig(name="dr_grpo")) == [[-0.75, 0.25, 0.25, 0.25], [-1.0, -1.0, 3.0, -1.0]]


def test_fault_05_a_tiny_deviation_explodes_and_a_missing_reward_spreads() -> None:
    def group(rewards: list[Any], excluded: int = -1) -> Group:
        done = Completion((1,), (3,), (-1.0,), FinishReason.STOP)
        return Group(PROBLEM, tuple(
            Scored(done, Verdict(VerdictKind.WRONG), r, excluded="timeout" if i == excluded else "")
            for i, r in enumerate(rewards)
        ))  # fmt: skip

    for name in ("grpo", "rloo", "reinforce_pp", "reinforce_pp_baseline"):
        algorithm = AlgorithmConfig(name=name)  # type: ignore[arg-type]
        for rewards in ([1.0, 0.0, 0.0, 0.0], [0.1 + 1e-9, 0.1, 0.1], [1e8, 1e8, 1e8 + 1e-3]):
            assert max(abs(a) for a in advantages([group(rewards)], algorithm)[0]) <= 2.0
        with pytest.raises(ValueError, match="p: reward None is not a finite number"):
            advantages([group([0.0, 1.0, None])], algorithm)
        assert advantages([group([0.0, 1.0, None], 2)], algorithm) == [
            [*advantages([group([0.0, 1.0])], algorithm)[0], 0.0]
        ]


@pytest.mark.parametrize("where", ["loss", "reward"])
def test_fault_06_groups_without_variance_still_push_the_kl(llama, rollouts, where: str) -> None:
    algorithm = AlgorithmConfig(kl_coefficient=5.0, kl_in=where, kl_estimator="k1")  # type: ignore[arg-type]
    groups = [replace(g, samples=tuple(replace(s, reward=1.0) for s in g.samples)) for g in rollouts(version=STALE)]
    model = llama()
    before = [p.detach().clone() for p in model.parameters()]
    one = learner(model, algorithm, reference=llama(seed=1))
    one.update(groups, advantages(groups, algorithm, one.kl_penalties(groups)))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("sampling", [Sampling(12, 0.7), Sampling(12, 1.4), Sampling(12, 0.7, top_p=0.6, top_k=5)])
def test_fault_07_learner_and_sampler_mean_different_distributions(llama, sampling: Sampling) -> None:
    """Temperature counts on both sides; what top-p and top-k cut off is renormalised on neither."""
    model = llama(torch.float32)
    requests = [Request(f"r{i}", (i + 1, 5, 9), sampling, 2, seed=3) for i in range(4)]
    done = [c for row in LocalEngine(model, slots=3).generate(requests) for c in row]
    rows = learner(model, temperature=sampling.temperature).logprobs([sample_of(c) for c in done])
    for completion, row in zip(done, rows, strict=True):
        assert row.tolist() == pytest.approx(completion.logprobs, abs=1e-4)


def test_fault_08_packed_samples_see_each_other_or_are_off_by_one(llama, rollouts) -> None:
    model, plain = llama(), llama(attention="sdpa")
    samples = [sample_of(s.completion) for g in rollouts() for s in g.samples]
    for sample, row in zip(samples, learner(model, micro_batch_tokens=10_000).logprobs(samples), strict=True):
        logits = plain(input_ids=torch.tensor([sample.tokens])).logits[0]
        alone = torch.log_softmax(logits[:-1], -1).gather(1, torch.tensor(sample.tokens[1:])[:, None])[:, 0]
        torch.testing.assert_close(row, alone[sample.prompt_length - 1 :].detach(), rtol=1e-9, atol=1e-9)


def bytes_chat(template: str | None = None) -> Chat:
    """A byte-level tokenizer whose padding is its end token, with a second end of turn."""
    backend = Tokenizer(models.BPE({c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    backend.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    backend.add_special_tokens([AddedToken("<|endoftext|>"), AddedToken("<|im_end|>")])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|endoftext|>", pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
    tokenizer.chat_template = template
    return Chat(tokenizer)


def test_fault_09_one_end_token_of_several_stops_and_none_is_learned() -> None:
    chat = bytes_chat()
    first, second = (chat.tokenizer.convert_tokens_to_ids(t) for t in ("<|endoftext|>", "<|im_end|>"))
    assert chat.stop_ids == {first, second}
    for end in (first, second):
        done = Completion((5,), (70, end), (-1.0, -1.0), FinishReason.STOP)
        assert sample_of(done).loss_mask == (True, True)  # padding is the end token too: it must still be trained
        model = small_model(TinyConfig(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=16), chat.tokenizer, 0)
        with torch.no_grad():  # a model that says nothing but this token
            model.get_input_embeddings().weight.zero_()
            model.get_input_embeddings().weight[end] = 1.0
            model.model.norm.weight.fill_(1.0)
            model.get_input_embeddings().weight[5] = 0.5
        [[completion]] = LocalEngine(model).generate([Request("r", (5,), Sampling(9, 0.0), stop_ids=chat.stop_ids)])
        assert completion.token_ids == (end,) and completion.finish is FinishReason.STOP


PREFILLING = "{{ messages[0]['content'] }}\n<think>\n"


@pytest.mark.parametrize(("template", "text"), [(PREFILLING, "so"), (None, "<think>so")])
def test_fault_10_a_prefilled_thought_has_no_form_or_its_first_tag_no_loss(template: str | None, text: str) -> None:
    chat = bytes_chat(template)
    prompt = chat.encode(PROBLEM.messages)
    ids = tuple(chat.tokenizer(f"{text}</think><answer>42</answer>")["input_ids"])
    done = Completion(prompt, ids, (-1.0,) * len(ids), FinishReason.STOP)
    assert scorer(chat, RewardConfig(), 99)([(PROBLEM, done)])[0].reward == 1.0
    assert all(sample_of(done).loss_mask)


def test_fault_11_text_is_encoded_again_between_rollout_and_training() -> None:
    """Half of a character, a control token in mid-text: ids that no text encodes to are trained as sampled."""
    chat = bytes_chat()
    [half, _] = chat.tokenizer("é")["input_ids"]
    odd = (half, chat.tokenizer.eos_token_id, half)
    done = Completion((1,), odd, (-1.0, -2.0, -3.0), FinishReason.STOP)
    scored = scorer(chat, RewardConfig(), 99)([(PROBLEM, done)])[0]
    assert tuple(chat.tokenizer(scored.completion.text)["input_ids"]) != odd
    group = Group(PROBLEM, (scored, replace(scored, reward=1.0)))
    for sample in live_samples([group], [[-1.0, 1.0]]):
        assert sample.tokens == (1, *odd) and sample.old_logprobs == (-1.0, -2.0, -3.0)


def test_fault_12_a_resume_does_nothing_repeats_prompts_or_loses_the_random_state(tmp_path: Path) -> None:
    tokenizer = word_tokenizer(vocabulary(), PAD, BOS, EOS)
    chat, problems = Chat(tokenizer), load_task("chain_mod:dev?limit=9")
    config = parse_config(
        RLConfig,
        {"kind": "rl", "init": "-", "tasks": ["chain_mod:dev"], "steps": 4, "prompts": 2, "group_size": 4,
         "sampling": {"max_tokens": 8}, "checkpoint_every": 1, "retire_at": 0.9, "optim": {"lr": 1e-3}},
        "zero",
    )  # fmt: skip

    def score(problem: Problem, completion: Completion) -> Scored:
        return Scored(completion, Verdict(VerdictKind.WRONG), float(completion.token_ids[0] % 2))

    def no_thought(problem: Problem, scored: Scored) -> Reading:
        return Reading(chat.parse((), ())[1], False)

    def train(path: Path, stops: list[int]) -> tuple[list[Any], torch.Tensor]:
        stage = StageDir(path)
        for stop in stops:
            model = small_model(TinyConfig(hidden=16, layers=1, heads=2, kv_heads=1, feed_forward=16), tokenizer, 0)
            part = config.model_copy(update={"steps": stop})
            train_rl(
                LocalEngine(model, slots=8), Learner(model, part.optim, 4, algorithm=part.algorithm), chat,
                TaskIterator({"dev": problems}, seed=0, retire_at=0.9), each(score), part, 0, Loop(stage, part),
                lambda step, groups, trained: rollout_rows(step, groups, no_thought, trained),
            )  # fmt: skip
        rows = [(r["step"], r["problem_id"], r["sample"], r["token_ids"]) for s in stage.rollout_steps()
                for r in stage.read_rollouts(s)]  # fmt: skip
        return rows, torch.cat([p.detach().flatten() for p in model.parameters()])

    straight, resumed = train(tmp_path / "a", [4]), train(tmp_path / "b", [1, 3, 4])
    assert len(straight[0]) == 4 * 2 * 4
    assert straight[0] == resumed[0]
    assert torch.equal(straight[1], resumed[1])


def test_fault_13_what_is_no_evidence_counts_as_right_or_as_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("", "  ", None, "\\boxed{}"):
        assert verify(PROBLEM, text).kind is VerdictKind.NO_ANSWER
    with pytest.raises(UserError, match="no answer|cannot be read|no number"):
        check_gold(replace(PROBLEM, data={"answer": ""}))
    with pytest.raises(UserError, match="no number"):
        check_gold(replace(PROBLEM, data={"answer": "\\frac{1}{"}))
    chat = bytes_chat()
    ids = tuple(chat.tokenizer("<think>a</think><answer>42</answer>")["input_ids"])
    done = Completion((1,), ids, (-1.0,) * len(ids), FinishReason.STOP)
    for kind in (VerdictKind.TIMEOUT, VerdictKind.ERROR):
        monkeypatch.setattr("mull.rewards.score.verify", lambda problem, text, k=kind: Verdict(k, "stuck"))
        scored = scorer(chat, RewardConfig(), 99)([(PROBLEM, done)])[0]
        assert scored.excluded and scored.reward == 0.0
        right = Scored(done, Verdict(VerdictKind.CORRECT), 1.0)
        wrong = Scored(done, Verdict(VerdictKind.WRONG), 0.0)
        group = Group(PROBLEM, (scored, right, wrong))
        weights = advantages([group], AlgorithmConfig(name="dr_grpo"))
        assert weights == [[0.0, 0.5, -0.5]] and len(live_samples([group], weights)) == 2
