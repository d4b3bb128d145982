"""The learner: the only thing that changes weights.

    update(groups, weights, loss)   one batch of rollouts  → optimizer steps
    fit(examples)                   one supervised batch   → one optimizer step
    distil(examples, teacher)       the same, towards a teacher's distributions
    logprobs(samples)               what these weights say of given tokens, no gradient

Every loss is a sum over tokens whose weights were fixed for the whole optimizer batch before it was cut into
micro-batches, so neither packing nor accumulation can change it. Dropout stays off: the policy that is trained is the
one that sampled. Left out on purpose: many processes, and writing files (`checkpoint`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mull.algo.aggregate import sample_scales
from mull.algo.config import AlgorithmConfig
from mull.algo.divergence import Kind, Side, divergence
from mull.algo.logprobs import TokenLogprobs, token_logprobs
from mull.algo.losses import LossFunction, TokenLoss, cross_entropy, policy_loss, weighted_sum
from mull.algo.packing import Batch, pack, pack_examples
from mull.algo.samples import Advantage, Example, Sample, live_samples, pushes, sample_of
from mull.core.errors import StageFailed
from mull.core.types import Group
from mull.model.attention import ATTENTION, PackedLayout
from mull.model.head import hidden_states, lm_head
from mull.model.lora import adapters_off, has_lora
from mull.model.processor import few_shapes, narrow_on_cpu
from mull.model.wide import wide_products
from mull.train.optim import OptimConfig, Optimizer
from mull.train.schedule import rate
from mull.train.weights import load_weights, named_weights

Losses = Callable[[Batch], TokenLoss]
"""The loss of every target of a micro-batch, with gradient."""


class Learner:
    """A model, its optimizer, and the number of updates the weights have seen (`version`).

    The reference model of a KL term is `reference` or, for a model with LoRA, itself with the adapters off.

    `version` counts calls of `update` and `fit`, and with it the learning-rate schedule of `total_steps`.
    `temperature` is the sampling's: the logprobs that are trained are those that were sampled from.

    Example: `Learner(model, OptimConfig(lr=4e-4), total_steps=48, algorithm=AlgorithmConfig(name="dapo"))`

    Raises:
        ValueError: a KL coefficient without a reference model, or a temperature that is not positive.
    """

    def __init__(
        self,
        model: nn.Module,
        optim: OptimConfig,
        total_steps: int,
        *,
        micro_batch_tokens: int = 4096,
        temperature: float = 1.0,
        algorithm: AlgorithmConfig | None = None,
        reference: nn.Module | None = None,
    ) -> None:
        self.algorithm = algorithm or AlgorithmConfig()
        if self.algorithm.kl_coefficient and reference is None and not has_lora(model):
            raise ValueError("kl_coefficient above 0 needs a reference model")
        if not temperature > 0:
            raise ValueError(f"training needs a temperature above 0, not {temperature}")
        self.model = _packable(model)
        self.reference = _packable(reference).requires_grad_(False) if reference is not None else None
        self.optimizer = Optimizer(model, optim)
        self.total_steps = total_steps
        self.micro_batch_tokens = micro_batch_tokens
        self.temperature = temperature
        self.version = 0

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def update(
        self, groups: Sequence[Group], weights_PG: Sequence[Sequence[Advantage]], loss: LossFunction = policy_loss
    ) -> dict[str, float]:
        """Train on one batch of rollouts, weighed by `weights_PG`, and count one version.

        Weights are advantages: one number a completion, or one a token of it.

        Constant groups (all weights 0) are not even run forward; a batch of nothing else changes nothing but
        `version`. Metrics are means over the tokens that carried loss; `grad_norm` is before clipping.

        Raises:
            StageFailed: the loss or the gradient is not finite; the step that would have applied it was not taken.
        """
        samples = live_samples(groups, weights_PG, self.algorithm.mask_truncated)
        fresh = all(s.completion.version == self.version for group in groups for s in group.samples)
        on_policy = fresh and self.algorithm.updates == 1
        if self._kl_in_loss:
            samples = _with_logprobs(samples, "ref_logprobs", self._reference_logprobs(samples))
        if self.algorithm.importance != "none" and not on_policy:
            samples = _with_logprobs(samples, "proximal_logprobs", self.logprobs(samples))
        share = rate(self.version, self.total_steps, self.optimizer.config.schedule)
        log = _Log(lr=share * self.optimizer.config.lr)
        for _ in range(self.algorithm.epochs):
            for part in split_by_group(samples, self.algorithm.minibatches):
                scales = sample_scales(part, self.algorithm)
                self._step(self._packed(part, scales), self._policy_losses(loss, on_policy), share, log)
        self.version += 1
        if self.algorithm.reference_every and self.version % self.algorithm.reference_every == 0:
            self._reset_reference()
        return log.metrics()

    def fit(self, examples: Sequence[Example], loss: LossFunction = cross_entropy) -> dict[str, float]:
        """One optimizer step on supervised examples: the loss is the mean over all of them, by token weight.

        Raises:
            ValueError: no token of the batch has a weight.
            StageFailed: the loss or the gradient is not finite; the weights are as before.
        """
        return self._supervised(examples, self._policy_losses(loss, on_policy=True))

    def distil(
        self, examples: Sequence[Example], teacher: nn.Module, kind: Kind = "forward", temperature: float = 1.0
    ) -> dict[str, float]:
        """One optimizer step towards the teacher's next-token distributions at the tokens with a weight.

        Raises:
            ValueError: no token of the batch has a weight, or the teacher has another vocabulary.
            StageFailed: the loss or the gradient is not finite; the weights are as before.
        """

        def losses(batch: Batch) -> TokenLoss:
            with torch.no_grad():
                wanted = self._side(teacher, batch)
            loss_N = divergence(self._side(self.model, batch), wanted, kind, temperature)
            return TokenLoss(loss_N, {"divergence": loss_N.detach()})

        return self._supervised(examples, losses)

    def _supervised(self, examples: Sequence[Example], losses: Losses) -> dict[str, float]:
        total = math.fsum(weight for example in examples for weight in example.weights[1:])
        if not total > 0:
            raise ValueError("no token of this batch carries any loss")
        share = rate(self.version, self.total_steps, self.optimizer.config.schedule)
        log = _Log(lr=share * self.optimizer.config.lr)
        self._step(pack_examples(examples, 1 / total, self.micro_batch_tokens), losses, share, log)
        self.version += 1
        return log.metrics()

    def kl_penalties(self, groups: Sequence[Group]) -> list[list[float]] | None:
        """β·KL of every sample where that is part of the reward, else None; k1, forced tokens left out.

        The sum over an output of sampler's less reference's logprobs (2402.14740 eq. 1).
        """
        if not self.algorithm.kl_coefficient or self.algorithm.kl_in != "reward":
            return None
        samples = [sample_of(scored.completion) for group in groups for scored in group.samples]
        rows = iter(zip(samples, self._reference_logprobs(samples), strict=True))
        return [[self.algorithm.kl_coefficient * _k1(*next(rows)) for _ in group.samples] for group in groups]

    def logprobs(self, samples: Sequence[Sample]) -> list[Tensor]:
        """Logprobs of every completion token of each sample, forced ones included, at the learner's temperature.

        Returns one fp32 tensor `[completion length]` a sample, in the order given, on the CPU.
        """
        return self._logprobs(self.model, samples)

    def weights(self) -> dict[str, Tensor]:
        """The live weights by name, tied ones once, without a copy."""
        return named_weights(self.model)

    def state_dict(self) -> dict[str, Any]:
        """All that an exact resume needs, random states and frozen weights apart; tensors are live, not copies.

        Raises:
            StageFailed: a weight is not finite; such a state must not become the newest checkpoint.
        """
        weights = named_weights(self.model, trained=True)
        for name, tensor in weights.items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise StageFailed(
                    f"{name} is not finite after step {self.version}; usual cause: a learning rate too high"
                )
        state = {"version": self.version, "weights": weights, "optimizer": self.optimizer.state_dict()}
        if self.reference is not None and self.algorithm.reference_every:
            state["reference"] = named_weights(self.reference)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; weights are written in place, so that an engine on the same model sees them.

        Raises:
            ValueError: the state is of another model or optimizer.
        """
        load_weights(self.model, state["weights"], trained=True)
        if "reference" in state and self.reference is not None:
            load_weights(self.reference, state["reference"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.version = state["version"]

    def _packed(self, samples: Sequence[Sample], scales: Sequence[float]) -> list[Batch]:
        """Micro-batches of the samples that push anything: without KL, a sample of advantage 0 does not."""
        pushing = [i for i, sample in enumerate(samples) if pushes(sample.advantage) or self._kl_in_loss]
        return pack([samples[i] for i in pushing], [scales[i] for i in pushing], self.micro_batch_tokens)

    def _policy_losses(self, loss: LossFunction, on_policy: bool) -> Losses:
        def losses(batch: Batch) -> TokenLoss:
            out = self._forward(self.model, batch)
            result = loss(out.logprobs_N, batch, self.algorithm, on_policy)
            assert out.entropy_N is not None
            return TokenLoss(result.loss_N, {"entropy": out.entropy_N, **result.stats})

        return losses

    def _step(self, batches: list[Batch], losses: Losses, share: float, log: _Log) -> None:
        """Accumulate the gradient of one optimizer batch and apply it."""
        if not batches:
            return
        self.optimizer.zero_grad()
        total = torch.zeros((), dtype=torch.float64)
        with torch.enable_grad():
            for batch in batches:
                batch = batch.to(self.device)
                result = losses(batch)
                value = weighted_sum(result.loss_N, batch.weight_N)
                value.backward()
                total += value.detach().cpu()
                log.tokens(batch, result.stats)
        if not math.isfinite(total):
            self.optimizer.zero_grad()
            raise StageFailed(
                f"the loss is {float(total)} at step {self.version}; the weights are as before it. Usual causes: a "
                "learning rate that is too high, or logprobs or rewards that are not finite"
            )
        norm = self.optimizer.step(share)
        self.optimizer.zero_grad()
        log.step(float(total), norm)

    def _forward(self, model: nn.Module, batch: Batch) -> TokenLogprobs:
        side = self._side(model, batch)
        return token_logprobs(
            side.hidden_ND,
            side.weight_VD,
            batch.targets_N,
            bias_V=side.bias_V,
            softcap=side.softcap,
            scale=side.scale,
            temperature=self.temperature,
            entropy=True,
        )

    def _side(self, model: nn.Module, batch: Batch) -> Side:
        """The hidden states that predict the batch's targets, and the head."""
        head = lm_head(model)
        if narrow_on_cpu(head.weight):
            batch = batch.filled(few_shapes(len(batch.tokens_T)))
        layout = PackedLayout.from_lengths(batch.lengths, self.device, parents=batch.parents)
        with wide_products(model):
            hidden_1TD = hidden_states(model, batch.tokens_T[None], batch.positions_T[None], layout)
        hidden_ND = hidden_1TD[0].index_select(0, batch.predictors_N)
        return Side(hidden_ND, head.weight, head.bias, head.softcap, head.scale)

    def _logprobs(self, model: nn.Module, samples: Sequence[Sample]) -> list[Tensor]:
        whole = [replace(sample, loss_mask=(True,) * len(sample.loss_mask)) for sample in samples]
        result: list[Tensor] = [torch.empty(0)] * len(samples)
        with torch.no_grad():
            for batch in pack(whole, [1.0] * len(whole), self.micro_batch_tokens):
                logprobs_N = self._forward(model, batch.to(self.device)).logprobs_N.cpu()
                for member, part in zip(batch.members, logprobs_N.split(batch.counts), strict=True):
                    result[member] = part
        return result

    @property
    def _kl_in_loss(self) -> bool:
        return self.algorithm.kl_coefficient > 0 and self.algorithm.kl_in == "loss"

    def _reference_logprobs(self, samples: Sequence[Sample]) -> list[Tensor]:
        if self.reference is not None:
            return self._logprobs(self.reference, samples)
        with adapters_off(self.model):
            return self._logprobs(self.model, samples)

    def _reset_reference(self) -> None:
        if self.reference is not None:
            load_weights(self.reference, self.weights())


def _with_logprobs(samples: Sequence[Sample], field: str, rows: Sequence[Tensor]) -> list[Sample]:
    return [replace(s, **{field: tuple(row.tolist())}) for s, row in zip(samples, rows, strict=True)]


def _k1(sample: Sample, ref_logprobs: Tensor) -> float:
    gaps = zip(sample.old_logprobs, ref_logprobs.tolist(), sample.loss_mask, strict=True)
    return math.fsum(old - ref for old, ref, on in gaps if on)


def _packable(model: nn.Module) -> nn.Module:
    """`model` in eval mode, once sure that packed sequences cannot see each other in it."""
    attention = getattr(getattr(model, "config", None), "_attn_implementation", None)
    if attention != ATTENTION:
        raise ValueError(f"the model's attention is {attention!r}: call set_attn_implementation({ATTENTION!r})")
    return model.eval()


def split_by_group(samples: Sequence[Sample], minibatches: int) -> list[list[Sample]]:
    """Samples dealt out to minibatches by their group, which stays whole; empty ones are left out.

    Every k-th group goes to minibatch k, so that the order of difficulty of a batch is not that of its updates.
    """
    place = {group: i % minibatches for i, group in enumerate(dict.fromkeys(s.group for s in samples))}
    parts: list[list[Sample]] = [[] for _ in range(minibatches)]
    for sample in samples:
        parts[place[sample.group]].append(sample)
    return [part for part in parts if part]


class _Log:
    """Sums over the tokens and steps of one update; nothing is read from the device before `metrics`."""

    def __init__(self, lr: float) -> None:
        self.lr = lr
        self.sums: dict[str, Tensor] = {}
        self.stream_tokens = 0
        self.loss_tokens = 0
        self.losses: list[float] = []
        self.norms: list[float] = []

    def tokens(self, batch: Batch, stats: Mapping[str, Tensor | None]) -> None:
        self.stream_tokens += len(batch.tokens_T)
        self.loss_tokens += len(batch.targets_N)
        for name, values_N in stats.items():
            if values_N is not None:
                self.sums[name] = self.sums.get(name, 0.0) + values_N.sum()  # type: ignore[operator]

    def step(self, loss: float, norm: float) -> None:
        self.losses.append(loss)
        self.norms.append(norm)

    def metrics(self) -> dict[str, float]:
        """`tokens` counts the stream, prompts included; `loss_tokens` those that carried loss; the rest are means."""
        steps = len(self.losses)
        means = {name: float(total) / max(1, self.loss_tokens) for name, total in self.sums.items()}
        return {
            "loss": math.fsum(self.losses) / max(1, steps),
            "grad_norm": math.fsum(self.norms) / max(1, steps),
            "lr": self.lr,
            "updates": float(steps),
            "tokens": float(self.stream_tokens),
            "loss_tokens": float(self.loss_tokens),
            **means,
        }
