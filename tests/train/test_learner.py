"""Numbers that must be right: the learner against a plain reference, and what may not change loss or gradient.

The reference is written straight from the formulas: one sequence at a time, plain transformers, no packing, no chunks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mull.algo.advantages import advantages
from mull.algo.config import AlgorithmConfig
from mull.algo.samples import Example, sample_of
from mull.core.errors import StageFailed
from mull.core.types import Group
from mull.train.learner import Learner
from mull.train.optim import OptimConfig

ALGORITHMS = [
    AlgorithmConfig(name="grpo"),
    AlgorithmConfig(name="grpo", kl_coefficient=0.3, minibatches=1),
    AlgorithmConfig(name="dr_grpo", constant_tokens=14),
    AlgorithmConfig(name="dapo", kl_coefficient=0.1, kl_estimator="k2", mask_truncated=True),
    AlgorithmConfig(aggregation="prompt", dual_clip=3.0),
    AlgorithmConfig(name="rloo", constant_tokens=14, kl_coefficient=0.2),
    AlgorithmConfig(name="reinforce_pp", kl_coefficient=0.1),
    AlgorithmConfig(name="reinforce_pp_baseline", kl_coefficient=0.1, kl_estimator="k1"),
    AlgorithmConfig(name="gspo", clip_low=0.2, clip_high=0.3),
    AlgorithmConfig(name="gspo", importance="sequence"),
    AlgorithmConfig(name="cispo"),
    AlgorithmConfig(name="dapo", importance="token"),
    AlgorithmConfig(name="cispo", importance="token", importance_rule="mask", importance_cap=5.0),
]


def name_of(algorithm: AlgorithmConfig) -> str:
    changed = {k: v for k, v in algorithm.model_dump().items() if v != getattr(AlgorithmConfig(), k)}
    return "-".join(str(v) for v in changed.values()) or "grpo"


OPTIM = OptimConfig(lr=1e-2, grad_clip=0.0)
PLAIN = "sdpa"
STALE = -1
"""A version that is never the learner's, so that the ratio is against the sampler and the clip at work."""


def learner_of(model, algorithm=ALGORITHMS[0], reference=None, tokens=64, optim=OPTIM, temperature=1.0) -> Learner:
    return Learner(
        model,
        optim,
        100,
        micro_batch_tokens=tokens,
        algorithm=algorithm,
        reference=reference if algorithm.kl_coefficient else None,
        temperature=temperature,
    )


def weigh(learner: Learner, groups: Sequence[Group]) -> list[list[float]]:
    """What the spine does between collecting and updating."""
    return advantages(groups, learner.algorithm, learner.kl_penalties(groups))


def captured(learner: Learner, train: Callable[[], dict]) -> tuple[dict, dict[str, Tensor]]:
    """Metrics and gradients of one optimizer step that is not taken."""
    gradients: dict[str, Tensor] = {}

    def keep(share: float) -> float:
        gradients.update({n: p.grad.clone() for n, p in learner.model.named_parameters() if p.grad is not None})
        return 0.0

    learner.optimizer.step = keep  # type: ignore[method-assign]
    return train(), gradients


def plain_logprobs(model, tokens: Sequence[int], temperature: float = 1.0) -> Tensor:
    logits = model(input_ids=torch.tensor([tuple(tokens)])).logits[0, :-1] / temperature
    return torch.log_softmax(logits, -1).gather(1, torch.tensor(tokens[1:])[:, None])[:, 0]


def plain_advantages(groups: list[Group], penalties: list[list[float]], c: AlgorithmConfig) -> list[list[float] | None]:
    """Per group, None where it teaches nothing; the formulas of the papers, written with tensors."""
    raw = [torch.tensor(g.rewards, dtype=torch.float64) for g in groups]
    net = [r - torch.tensor(p, dtype=torch.float64) for r, p in zip(raw, penalties, strict=True)]
    if c.advantage == "batch":
        every = torch.cat(net)
        return [((r - every.mean()) / (every.std(correction=0) + 1e-4)).tolist() for r in net]
    live = [r.std(correction=0) > 0 for r in raw]
    batch = torch.cat([r - r.mean() for r, on in zip(net, live, strict=True) if on]).std(correction=0)
    found: list[list[float] | None] = []
    for r, on in zip(net, live, strict=True):
        scale = {"group_std": r.std(correction=0) + 1e-4, "group_batch_std": batch + 1e-4}.get(c.advantage, 1.0)
        n = len(r)
        a = (r - (r.sum() - r) / (n - 1)) if c.advantage == "leave_one_out" else (r - r.mean()) / scale
        found.append(a.tolist() if on else None)
    return found


def plain_token_loss(new: Tensor, old: Tensor, a: Tensor, on: list[int], c: AlgorithmConfig) -> Tensor:
    """One output's valid tokens; `old` are the logprobs before the update, `a` the advantage of each token."""
    new, old, a = new[on], old[on], a[on]
    low, high = 1 - c.clip_low, 1 + c.clip_high
    if c.surrogate == "cispo":
        return -(torch.exp(new - old).clamp(low, high).detach() * a * new)
    ratio = torch.exp((new - old).mean()).expand(len(on)) if c.surrogate == "gspo" else torch.exp(new - old)
    value = torch.minimum(ratio * a, ratio.clamp(low, high) * a)
    if c.dual_clip:
        value = torch.where(a < 0, torch.maximum(value, c.dual_clip * a), value)
    return -value


def plain_weights(old: Tensor, sampler: Tensor, on: list[int], c: AlgorithmConfig) -> Tensor:
    gap = (old - sampler).detach()
    if c.importance == "none":
        return torch.ones_like(gap)
    w = torch.exp(gap[on].sum().expand_as(gap) if c.importance == "sequence" else gap)
    if c.importance_rule == "clip":
        return w.clamp(max=c.importance_cap)
    return w * ((w >= 1 / c.importance_cap) & (w <= c.importance_cap))


def plain_loss(model, reference, groups: list[Group], c: AlgorithmConfig, temperature: float = 1.0) -> Tensor:
    """Every algorithm of `algo.config`, output by output, straight from its paper."""

    def of(net, done) -> Tensor:
        return plain_logprobs(net, done.prompt_ids + done.token_ids, temperature)[len(done.prompt_ids) - 1 :]

    valid = [[[t for t in range(len(s.completion.token_ids)) if t not in s.completion.forced] for s in g.samples]
             for g in groups]  # fmt: skip
    penalties = [[0.0] * len(g.samples) for g in groups]
    if c.kl_coefficient and c.kl_in == "reward":
        with torch.no_grad():
            gaps = [
                [torch.tensor(s.completion.logprobs) - of(reference, s.completion) for s in g.samples] for g in groups
            ]
        penalties = [[c.kl_coefficient * float(gap[on].sum()) for gap, on in zip(row, ons, strict=True)]
                     for row, ons in zip(gaps, valid, strict=True)]  # fmt: skip
    outputs: list[list[Tensor]] = []
    for group, advantage, ons in zip(groups, plain_advantages(groups, penalties, c), valid, strict=True):
        if advantage is None:
            continue
        outputs.append([])
        for scored, a, on in zip(group.samples, advantage, ons, strict=True):
            done = scored.completion
            if c.mask_truncated and done.truncated:
                continue
            sampler = torch.tensor(done.logprobs, dtype=torch.float64)
            new = of(model, done)
            old = sampler if c.importance == "none" else new.detach()
            loss = plain_token_loss(new, old, a * plain_weights(old, sampler, on, c), on, c)
            if c.kl_coefficient and c.kl_in == "loss":
                with torch.no_grad():
                    d0 = of(reference, done)[on]
                d = new[on] - d0
                kl = {
                    "k1": d.detach() + d * d.detach() - (d * d).detach(),
                    "k2": d * d / 2,
                    "k3": torch.exp(-d) + d - 1,
                }
                loss = loss + c.kl_coefficient * kl[c.kl_estimator]
            outputs[-1].append(loss)
    flat = [row for group in outputs for row in group]
    limit = float(c.constant_tokens or 1)
    match c.aggregation:
        case "sequence":
            return torch.stack([row.mean() for row in flat]).mean()
        case "token":
            return torch.cat(flat).mean()
        case "constant":
            return torch.stack([row.sum() / limit for row in flat]).mean()
        case "prompt":
            return torch.stack([torch.cat(group).mean() for group in outputs]).mean()


def assert_same(got: dict[str, Tensor], want: dict[str, Tensor], rtol: float = 1e-5) -> None:
    assert got.keys() == want.keys()
    for name, gradient in got.items():
        scale = float(want[name].abs().max())
        torch.testing.assert_close(gradient, want[name], rtol=rtol, atol=rtol * max(scale, 1e-6))


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=name_of)
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_loss_and_gradient_are_the_published_ones(llama, rollouts, algorithm, temperature) -> None:
    model, reference, groups = llama(), llama(seed=1), rollouts(version=STALE)
    plain = llama(attention=PLAIN)
    loss = plain_loss(plain, llama(seed=1, attention=PLAIN), groups, algorithm, temperature)
    loss.backward()
    wanted = {name: p.grad for name, p in plain.named_parameters()}
    learner = learner_of(model, algorithm, reference, temperature=temperature)
    metrics, gradients = captured(learner, lambda: learner.update(groups, weigh(learner, groups)))
    assert metrics["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    assert_same(gradients, wanted)


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=name_of)
@pytest.mark.parametrize("tokens", [1, 19, 40, 10_000])
def test_micro_batches_and_order_change_nothing(llama, rollouts, algorithm, tokens) -> None:
    groups = rollouts(version=STALE)
    first = learner_of(llama(), algorithm, llama(seed=1), tokens=64)
    loss, want = captured(first, lambda: first.update(groups, weigh(first, groups)))
    rng = random.Random(tokens)
    mixed = [replace(g, samples=tuple(rng.sample(g.samples, len(g.samples)))) for g in groups]
    rng.shuffle(mixed)
    other = learner_of(llama(), algorithm, llama(seed=1), tokens=tokens)
    again, got = captured(other, lambda: other.update(mixed, weigh(other, mixed)))
    assert again["loss"] == pytest.approx(loss["loss"], rel=1e-6)
    assert_same(got, want)


@pytest.mark.parametrize("tokens", [1, 23, 10_000])
def test_fp32_gradients_do_not_depend_on_packing_either(llama, rollouts, tokens) -> None:
    groups = rollouts(prompts=6)
    results = []
    for limit in (64, tokens):
        learner = learner_of(llama(torch.float32), tokens=limit)
        results.append(captured(learner, lambda one=learner: one.update(groups, advantages(groups, one.algorithm)))[1])
    assert_same(results[1], results[0], rtol=1e-4)


@pytest.mark.parametrize(
    "algorithm",
    [
        AlgorithmConfig(name="dapo", kl_coefficient=0.2),
        AlgorithmConfig(name="rloo", constant_tokens=9, kl_coefficient=0.2, dual_clip=2.0),
        AlgorithmConfig(name="gspo", clip_low=0.5, clip_high=0.9, kl_coefficient=0.2, kl_estimator="k2"),
    ],
    ids=name_of,
)
def test_gradient_by_finite_differences(llama, rollouts, algorithm) -> None:
    """Of all that is differentiable; weights without gradient (CISPO, importance) are checked against the formulas."""
    model, groups = llama(), rollouts(prompts=2, samples=3, version=STALE)
    learner = learner_of(model, algorithm, llama(seed=1))
    weights = weigh(learner, groups)
    gradients = dict(captured(learner, lambda: learner.update(groups, weights))[1])
    rng, step = random.Random(5), 1e-5
    for name, parameter in model.named_parameters():
        at = tuple(rng.randrange(n) for n in parameter.shape)
        losses = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter[at] += sign * step
            losses.append(learner.update(groups, weights)["loss"])
            with torch.no_grad():
                parameter[at] -= sign * step
        assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(float(gradients[name][at]), rel=1e-4, abs=1e-8)


def test_a_neighbour_in_the_pack_changes_nothing(llama, rollouts) -> None:
    learner, plain = learner_of(llama(), tokens=10_000), llama(attention=PLAIN)
    samples = [sample_of(s.completion) for g in rollouts() for s in g.samples]
    packed = learner.logprobs(samples)
    others = [samples[0], *(replace(s, tokens=tuple((t + 1) % 17 for t in s.tokens)) for s in samples[1:])]
    assert (learner.logprobs(others)[0] - packed[0]).abs().max() < 1e-12
    for sample, row in zip(samples, packed, strict=True):
        alone = plain_logprobs(plain, sample.tokens)[sample.prompt_length - 1 :].detach()
        torch.testing.assert_close(row, alone, rtol=1e-9, atol=1e-9)


def test_constant_groups_and_excluded_samples_are_as_if_never_collected(llama, rollouts) -> None:
    """Fault 6: a group without spread must not push, not even through the KL."""
    algorithm, groups = AlgorithmConfig(kl_coefficient=0.5), rollouts(version=STALE)
    constant = replace(groups[0], samples=tuple(replace(s, reward=1.0) for s in groups[0].samples))
    odd = replace(groups[1], samples=(replace(groups[1].samples[0], excluded="timeout"), *groups[1].samples[1:]))
    gone = replace(groups[1], samples=groups[1].samples[1:])
    results = []
    for batch in ([constant, odd, *groups[2:]], [gone, *groups[2:]]):
        learner = learner_of(llama(), algorithm, llama(seed=1))
        results.append(captured(learner, lambda one=learner, b=batch: one.update(b, advantages(b, algorithm))))
    assert results[0][0] == results[1][0]
    assert_same(results[0][1], results[1][1], rtol=0)


def test_a_batch_of_constant_groups_moves_nothing_but_the_version(llama, rollouts, monkeypatch) -> None:
    groups = rollouts()
    learner = learner_of(
        llama(), AlgorithmConfig(kl_coefficient=0.5), llama(seed=1), optim=OptimConfig(weight_decay=0.1)
    )
    before = {name: w.clone() for name, w in learner.weights().items()}
    monkeypatch.setattr(learner, "_forward", lambda *_: pytest.fail("ran forward"))
    metrics = learner.update(groups, [[0.0] * len(g.samples) for g in groups])
    assert (metrics["updates"], metrics["tokens"], learner.version) == (0.0, 0.0, 1)
    assert all(torch.equal(before[name], w) for name, w in learner.weights().items())


def test_a_sample_of_no_advantage_counts_in_the_mean_but_costs_no_forward(llama, rollouts) -> None:
    groups = rollouts(prompts=1, samples=3, version=STALE)
    learner = learner_of(llama(), AlgorithmConfig(name="dapo"))
    metrics, _ = captured(learner, lambda: learner.update(groups, [[1.0, 0.0, 0.0]]))
    alone = learner_of(llama(), AlgorithmConfig(name="dapo"))
    only = [replace(groups[0], samples=groups[0].samples[:1])]
    single, _ = captured(alone, lambda: alone.update(only, [[1.0]]))
    sizes = [sample_of(s.completion).valid for s in groups[0].samples]
    assert metrics["loss"] == pytest.approx(single["loss"] * sizes[0] / sum(sizes), rel=1e-6)
    assert metrics["tokens"] == single["tokens"]


def test_forced_tokens_carry_no_loss(llama, rollouts) -> None:
    """Whatever the sampler noted for a forced token, nothing moves."""
    groups = rollouts(version=STALE)

    def noted(group: Group) -> Group:
        rows = []
        for s in group.samples:
            old = tuple(-9.0 if t in s.completion.forced else v for t, v in enumerate(s.completion.logprobs))
            rows.append(replace(s, completion=replace(s.completion, logprobs=old)))
        return replace(group, samples=tuple(rows))

    assert any(s.completion.forced for g in groups for s in g.samples)
    results = []
    for batch in (groups, [noted(g) for g in groups]):
        learner = learner_of(llama())
        results.append(captured(learner, lambda one=learner, b=batch: one.update(b, advantages(b, one.algorithm))))
    assert results[0][0] == results[1][0]
    assert_same(results[0][1], results[1][1], rtol=0)


def test_fit_is_the_weighted_mean_cross_entropy(llama, rollouts) -> None:
    rng = random.Random(1)
    sequences = [tuple(rng.randrange(17) for _ in range(rng.randint(2, 12))) for _ in range(7)]
    examples = [Example(s, [rng.choice([0.0, 1.0, 0.5]) for _ in s]) for s in sequences]
    plain = llama(attention=PLAIN)
    weights = [torch.tensor(e.weights[1:], dtype=torch.float64) for e in examples]
    rows = [-(w @ plain_logprobs(plain, e.tokens)) for w, e in zip(weights, examples, strict=True)]
    loss = torch.stack(rows).sum() / torch.cat(weights).sum()
    loss.backward()
    for tokens in (1, 20, 999):
        learner = learner_of(llama(), tokens=tokens)
        metrics, gradients = captured(learner, lambda one=learner: one.fit(examples))
        assert metrics["loss"] == pytest.approx(float(loss.detach()), rel=1e-6)
        assert_same(gradients, {name: p.grad for name, p in plain.named_parameters()})
    with pytest.raises(ValueError, match="carries any loss"):
        learner.fit([Example((1, 2), (1.0, 0.0))])


def test_on_policy_the_first_step_is_the_policy_gradient(llama, rollouts) -> None:
    """Fresh samples, one update: the gradient is A·∇log π, whatever rounding the sampler's logprobs carry."""
    groups, algorithm = rollouts(version=0), AlgorithmConfig(name="dapo")
    weights = advantages(groups, algorithm)
    learner = learner_of(llama(), algorithm)
    metrics, gradients = captured(learner, lambda: learner.update(groups, weights))
    plain, total, count = llama(attention=PLAIN), torch.zeros(()), 0
    for group, row in zip(groups, weights, strict=True):
        for scored, a in zip(group.samples, row, strict=True):
            sample = sample_of(scored.completion)
            new = plain_logprobs(plain, sample.tokens)[sample.prompt_length - 1 :]
            total = total - a * new[list(sample.loss_mask)].sum()
            count += sample.valid
    (total / count).backward()
    assert_same(gradients, {name: p.grad for name, p in plain.named_parameters()})
    assert metrics["clip_fraction"] == 0.0


def test_minibatches_and_epochs_step_on_whole_groups(llama, rollouts) -> None:
    algorithm = AlgorithmConfig(name="dapo", minibatches=3, epochs=2)
    groups = rollouts(prompts=5)
    learner = learner_of(llama(), algorithm, optim=OptimConfig(lr=5e-2))
    metrics = learner.update(groups, advantages(groups, algorithm))
    assert metrics["updates"] == 6 and learner.version == 1
    assert metrics["clip_fraction"] > 0
    twice = learner_of(llama(), algorithm, optim=OptimConfig(lr=5e-2))
    twice.algorithm = AlgorithmConfig(name="dapo")
    stale = rollouts(prompts=5, version=STALE)
    for _ in range(2):
        for k in range(3):
            twice.update(stale[k::3], advantages(stale[k::3], algorithm))
    for name, weight in learner.weights().items():
        torch.testing.assert_close(weight, twice.weights()[name], rtol=0, atol=0)


def test_the_same_inputs_give_the_same_bits(llama, rollouts) -> None:
    def run() -> dict[str, Tensor]:
        learner = learner_of(llama(torch.float32), optim=OptimConfig(name="muon", lr=1e-2))
        for version in range(3):
            groups = rollouts(seed=version, version=version)
            learner.update(groups, advantages(groups, learner.algorithm))
        return learner.weights()

    first, second = run(), run()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_training_raises_the_probability_of_what_was_rewarded(llama, rollouts) -> None:
    groups = rollouts(prompts=2)
    learner = learner_of(llama(torch.float32), optim=OptimConfig(lr=3e-3))
    rows = [(sample_of(s.completion), a) for g, r in zip(groups, advantages(groups, learner.algorithm), strict=True)
            for s, a in zip(g.samples, r, strict=True)]  # fmt: skip

    def preference() -> float:
        values = learner.logprobs([s for s, _ in rows])
        return sum(a * float(v[list(s.loss_mask)].mean()) for v, (s, a) in zip(values, rows, strict=True))

    before = preference()
    for _ in range(5):
        learner.update(groups, advantages(groups, learner.algorithm))
    assert preference() > before + 1.0


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_numbers_that_are_not_finite_stop_the_stage_before_the_weights_move(llama, rollouts, how) -> None:
    groups = rollouts()
    learner = learner_of(llama(torch.float32))
    learner.update(groups, advantages(groups, learner.algorithm))
    weights = advantages(groups, learner.algorithm)
    if how == "loss":
        weights[1][0] = float("nan")
    else:
        next(learner.model.parameters()).register_hook(lambda g: g * float("inf"))
    before = {name: w.clone() for name, w in learner.weights().items()}
    with pytest.raises(StageFailed, match=f"the {how}.*weights are as before"):
        learner.update(groups, weights)
    assert all(torch.equal(before[name], w) for name, w in learner.weights().items())
    assert learner.version == 1


def test_the_reference_follows_only_when_asked(llama, rollouts) -> None:
    algorithm = AlgorithmConfig(kl_coefficient=0.1, reference_every=2)
    learner = learner_of(llama(torch.float32), algorithm, llama(torch.float32))
    kls = []
    for version in range(3):
        groups = rollouts(seed=version, version=version)
        kls.append(learner.update(groups, advantages(groups, algorithm))["kl"])
    assert kls[0] == pytest.approx(0.0, abs=1e-6) and kls[1] > 1e-4 and kls[2] == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ValueError, match="reference"):
        Learner(llama(), OPTIM, 1, algorithm=algorithm)
