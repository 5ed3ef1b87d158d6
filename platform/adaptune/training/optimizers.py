"""The optimizers of a trial and of f_S."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.optim import SGD, Adam, Optimizer

from adaptune.models.backbones import Backbone
from adaptune.spec.schema import TrialSpec
from adaptune.training.distributed import unwrap
from adaptune.training.networks import Networks
from adaptune.training.schedule import LR_FACTOR, inverse_lr_factor, lr_factor

_ADAM_BETAS = (0.9, 0.999)  # of f_S, torch's own
_PRETRAINED_LR_FACTOR = 0.1


@dataclass(frozen=True)
class Optimizers:
    """One optimizer per group of networks that are updated together.

    It is Adam (Kingma & Ba 2015), except that f_T may have another one.

    Checkpoints use the names of the attributes.

    Attributes:
        generators: of G_st and G_ts.
        discriminators: of D_s and D_t.
        f_t: of f_T.
        d_feat: of D_feat.
    """

    generators: Adam
    discriminators: Adam
    f_t: Optimizer
    d_feat: Adam

    def by_name(self) -> dict[str, Optimizer]:
        """Return the optimizers by the names of their attributes."""
        return {
            "generators": self.generators,
            "discriminators": self.discriminators,
            "f_t": self.f_t,
            "d_feat": self.d_feat,
        }


def build_optimizers(networks: Networks, spec: TrialSpec) -> Optimizers:
    """Return the optimizers of the trained networks."""
    gan_betas = (spec.training.beta1, spec.training.beta2)
    betas = {
        "generators": gan_betas,
        "discriminators": gan_betas,
        "d_feat": _classifier_betas(spec),
    }
    lrs = base_learning_rates(spec)
    parameters = {
        "generators": [*networks.g_st.parameters(), *networks.g_ts.parameters()],
        "discriminators": [*networks.d_s.parameters(), *networks.d_t.parameters()],
        "d_feat": [*networks.d_feat.parameters()],
    }
    optimizers = {}
    for name, group in parameters.items():
        optimizers[name] = Adam(group, lr=lrs[name], betas=betas[name], fused=True)
    f_t = target_classifier_optimizer(unwrap(networks.f_t), spec, fused=True)
    return Optimizers(f_t=f_t, **optimizers)


def source_classifier_optimizer(net: nn.Module, spec: TrialSpec) -> Optimizer:
    """Return the optimizer of f_S."""
    stage = spec.training.source
    parameters = _classifier_parameters(net, spec)
    if stage.optimizer == "sgd":
        return _sgd(parameters, stage.lr, stage.momentum, stage.weight_decay)
    return Adam(parameters, lr=stage.lr, betas=_ADAM_BETAS, weight_decay=stage.weight_decay)


def target_classifier_optimizer(
    net: nn.Module, spec: TrialSpec, *, fused: bool | None = None
) -> Optimizer:
    """Return the optimizer of f_T, or of a baseline that is trained like it.

    Args:
        net: the classifier, without a wrapper.
        fused: whether to use torch's fused implementation; None leaves the choice to torch.
    """
    training = spec.training
    parameters = _classifier_parameters(net, spec)
    lr = training.classifier_lr
    weight_decay = training.classifier_weight_decay
    if training.classifier_optimizer == "sgd":
        return _sgd(parameters, lr, training.classifier_momentum, weight_decay, fused=fused)
    betas = _classifier_betas(spec)
    return Adam(parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=fused)


def classifier_lr_factor(progress: float, spec: TrialSpec) -> float:
    """Return the factor of the learning rates of f_S and f_T.

    Args:
        progress: fraction of the run that is over, in [0, 1].
    """
    if spec.training.classifier_schedule == "tllib":
        return inverse_lr_factor(progress)
    return lr_factor(progress, spec.training.lr_decay_from)


def backbone_lr_factor(spec: TrialSpec) -> float:
    """Return the learning rate of a backbone, relative to that of the rest of a classifier."""
    factor = spec.training.backbone_lr_factor
    if factor is not None:
        return factor
    return _PRETRAINED_LR_FACTOR if spec.model.classifier.is_pretrained else 1.0


def base_learning_rates(spec: TrialSpec) -> dict[str, float]:
    """Return the learning rate of each optimizer before it decays, by its name."""
    training = spec.training
    return {
        "generators": training.generator_lr,
        "discriminators": training.discriminator_lr,
        "f_t": training.classifier_lr,
        "d_feat": training.feature_discriminator_lr,
    }


def learning_rates(spec: TrialSpec, progress: float) -> dict[str, float]:
    """Return the learning rate of each optimizer, by its name.

    Args:
        progress: fraction of the run that is over, in [0, 1].
    """
    factor = lr_factor(progress, spec.training.lr_decay_from)
    rates = {name: lr * factor for name, lr in base_learning_rates(spec).items()}
    rates["f_t"] = spec.training.classifier_lr * classifier_lr_factor(progress, spec)
    return rates


def _classifier_betas(spec: TrialSpec) -> tuple[float, float]:
    """Return Adam's β₁ and β₂ for f_T and D_feat."""
    training = spec.training
    beta1 = training.beta1 if training.classifier_beta1 is None else training.classifier_beta1
    return beta1, training.beta2


def _classifier_parameters(net: nn.Module, spec: TrialSpec) -> list[dict[str, object]]:
    """Return the groups of parameters of a classifier: one, or those of its backbone apart."""
    factor = backbone_lr_factor(spec)
    if factor == 1.0 or not isinstance(net, Backbone):
        return [{"params": [*net.parameters()]}]
    rest = [*net.bottleneck.parameters(), *net.fc.parameters()]
    return [{"params": [*net.body.parameters()], LR_FACTOR: factor}, {"params": rest}]


def _sgd(
    parameters: list[dict[str, object]],
    lr: float,
    momentum: float,
    weight_decay: float,
    *,
    fused: bool | None = None,
) -> SGD:
    return SGD(
        parameters,
        lr=lr,
        momentum=momentum,
        nesterov=momentum > 0,
        weight_decay=weight_decay,
        fused=fused,
    )
