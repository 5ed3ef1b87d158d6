"""The optimizers of a trial."""

from __future__ import annotations

from dataclasses import dataclass

from torch.optim import Adam

from adaptune.spec.schema import TrialSpec
from adaptune.training.networks import Networks


@dataclass(frozen=True)
class Optimizers:
    """One Adam (Kingma & Ba 2015) per group of networks that are updated together.

    Checkpoints use the names of the attributes.

    Attributes:
        generators: of G_st and G_ts.
        discriminators: of D_s and D_t.
        f_t: of f_T.
        d_feat: of D_feat.
    """

    generators: Adam
    discriminators: Adam
    f_t: Adam
    d_feat: Adam

    def by_name(self) -> dict[str, Adam]:
        """Return the optimizers by the names of their attributes."""
        return {
            "generators": self.generators,
            "discriminators": self.discriminators,
            "f_t": self.f_t,
            "d_feat": self.d_feat,
        }


def build_optimizers(networks: Networks, spec: TrialSpec) -> Optimizers:
    """Return the optimizers of the trained networks."""
    betas = (spec.training.beta1, spec.training.beta2)
    parameters = {
        "generators": [*networks.g_st.parameters(), *networks.g_ts.parameters()],
        "discriminators": [*networks.d_s.parameters(), *networks.d_t.parameters()],
        "f_t": [*networks.f_t.parameters()],
        "d_feat": [*networks.d_feat.parameters()],
    }
    optimizers = {}
    for name, lr in base_learning_rates(spec).items():
        optimizers[name] = Adam(parameters[name], lr=lr, betas=betas, fused=True)
    return Optimizers(**optimizers)


def base_learning_rates(spec: TrialSpec) -> dict[str, float]:
    """Return the learning rate of each optimizer before it decays, by its name."""
    training = spec.training
    return {
        "generators": training.generator_lr,
        "discriminators": training.discriminator_lr,
        "f_t": training.classifier_lr,
        "d_feat": training.feature_discriminator_lr,
    }
