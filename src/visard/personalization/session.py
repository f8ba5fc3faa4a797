"""The parts of one run, put together: what trains, what is perturbed, and the state they share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from visard.diffusion.backbone import Backbone, Posterior
from visard.faces.detector import Detector
from visard.faces.recognizer import Recognizer
from visard.personalization.checkpoint import Snapshot
from visard.personalization.decoders import load_decoder
from visard.personalization.decoupling import Decoupling
from visard.personalization.encoding import encoded
from visard.personalization.fine_tuning import FineTuning, PhotoSet, autocast, trainable_parameters
from visard.personalization.history import History
from visard.personalization.iddm import Iddm, plan
from visard.personalization.identity import IdentityLoss, impostor_level, prototypes
from visard.personalization.offload import Enter, Offload, Phase, stay
from visard.personalization.photos import Photos
from visard.personalization.prior import class_posteriors
from visard.personalization.settings import PersonalizationSettings
from visard.personalization.streams import DataOrder, Streams
from visard.progress import Progress

STRANGERS = 32
"""Class pictures that stand for strangers when floor = "impostor"."""
IMAGES, CENTRE, STREAM = "images", "centre", "stream/"
REFERENCE, PROTECTED = "reference", "protected"


class Session:
    """A run ready to be stepped: `iddm` makes the moves, `snapshot` and `restore` carry what they change.

    Every part draws from a stream of its own: fine-tuning sees the same numbers with and without a defence.
    """

    def __init__(
        self,
        settings: PersonalizationSettings,
        photos: Photos,
        backbone: Backbone,
        recognizers: Sequence[Recognizer],
        detector: Detector,
        *,
        cache: Path | None,
        progress: Progress,
    ) -> None:
        self.settings, self.photos, self.backbone = settings, photos, backbone
        self.streams = Streams(settings.seed)
        self.history = History([each.name for each in recognizers])
        strangers: Posterior | None = None
        if settings.needs_class_pictures:  # before anything changes the base model
            strangers = class_posteriors(
                backbone, settings.prompts.prior, settings.prior, cache=cache, progress=progress
            )
        parameters = trainable_parameters(backbone, settings, self.streams["lora"])
        self.sets = self._turns() if settings.fine_tuning.alternate else self._together()
        if strangers is not None and settings.fine_tuning.prior_weight > 0:
            prompts = [settings.prompts.prior] * settings.prior.count
            self.sets["class"] = self._photo_set("class", strangers, prompts)
        self.fine_tuning = FineTuning(
            backbone,
            parameters,
            settings.fine_tuning,
            learning_rate=settings.learning_rate,
            class_photos=self.sets.get("class"),
            generator=self.streams["fine-tuning"],
        )
        self.fine_tuning.remember(sorted({prompt for each in self.sets.values() for prompt in each.prompts}))
        defended = settings.defence == "iddm"
        decoupling = self._decoupling(recognizers, detector, strangers) if defended else None
        self.offload = self._offload(recognizers) if settings.offload else None
        self.enter: Enter = self.offload or stay
        self.iddm = Iddm(
            plan(settings.decoupling, settings.fine_tuning.steps, defended=defended),
            photos.originals,
            anchor=settings.decoupling.anchor,
            reference=self.sets[REFERENCE],
            protected=self.sets[PROTECTED],
            fine_tuning=self.fine_tuning,
            decoupling=decoupling,
            enter=self.enter,
        )
        if settings.compile:
            backbone.unet.compile()

    def close(self) -> None:
        """Every network is again where it was."""
        if self.offload is not None:
            self.offload.close()

    def snapshot(self) -> Snapshot:
        """Everything the moves made so far have changed."""
        weights, optimizer = self.fine_tuning.state()
        run = {IMAGES: self.iddm.images, CENTRE: self.iddm.centre}
        run |= {STREAM + name: state for name, state in self.streams.state().items()}
        queues = {name: each.order.queue for name, each in self.sets.items()}
        return Snapshot(self.iddm.done, weights, optimizer, run, queues, self.history.state)

    def restore(self, snapshot: Snapshot) -> None:
        """Continue after the moves of `snapshot`."""
        self.fine_tuning.restore(snapshot.weights, snapshot.optimizer)
        self.iddm.restore(snapshot.done, snapshot.run[IMAGES], snapshot.run[CENTRE])
        streams = {name: state for name, state in snapshot.run.items() if name.startswith(STREAM)}
        self.streams.restore({name.removeprefix(STREAM): state for name, state in streams.items()})
        for name, queue in snapshot.queues.items():
            self.sets[name].order.queue = list(queue)
        self.history.state = snapshot.history

    def bytes_needed(self) -> int:
        """Disk space of a run: two checkpoints of weights with two moments each, and the finished model."""
        trained = sum(each.numel() * each.element_size() for each in self.fine_tuning.parameters.values())
        networks = self.backbone.networks.values() if self.settings.method == "dreambooth" else ()
        model = sum(each.numel() * each.element_size() for net in networks for each in net.parameters())
        return 2 * 3 * trained + model

    def _offload(self, recognizers: Sequence[Recognizer]) -> Offload:
        vae, words = self.backbone.vae, self.backbone.text_encoders
        needs = {
            Phase.WORDS: words,
            Phase.PICTURES: [vae],
            Phase.FINE_TUNING: words if self.fine_tuning.trains_text else [],
            Phase.DECOUPLING: [vae, *recognizers],
            Phase.SAMPLING: [vae, *words],
        }
        return Offload(needs, self.backbone.device)

    def _turns(self) -> dict[str, PhotoSet]:
        """X_c and X_0, each in an order of its own."""
        photos, encode = self.photos, partial(encoded, self.backbone)
        return {
            REFERENCE: self._photo_set(REFERENCE, encode(photos.reference), photos.reference_prompts),
            PROTECTED: self._photo_set(PROTECTED, encode(photos.originals), photos.prompts),
        }

    def _together(self) -> dict[str, PhotoSet]:
        """All photos in one order, whichever call asks for them."""
        photos = self.photos
        everything = encoded(self.backbone, torch.cat([photos.reference, photos.originals]))
        whole = self._photo_set(REFERENCE, everything, [*photos.reference_prompts, *photos.prompts])
        return dict.fromkeys((REFERENCE, PROTECTED), whole)

    def _photo_set(self, name: str, posterior: Posterior, prompts: Sequence[str]) -> PhotoSet:
        return PhotoSet(posterior, prompts, DataOrder(len(prompts), self.streams[f"order/{name}"]))

    def _decoupling(
        self, recognizers: Sequence[Recognizer], detector: Detector, strangers: Posterior | None
    ) -> Decoupling:
        settings, photos = self.settings, self.photos
        return Decoupling(
            self.backbone,
            settings.decoupling,
            identity=self._identity(recognizers, detector, strangers) if settings.needs_identity else None,
            fallback=list(photos.landmarks),
            autocast=autocast(self.backbone, settings.fine_tuning.precision),
            generator=self.streams["decoupling"],
            decode=load_decoder(settings.decoupling.decoder, self.backbone),
        )

    def _identity(
        self, recognizers: Sequence[Recognizer], detector: Detector, strangers: Posterior | None
    ) -> IdentityLoss:
        settings = self.settings.decoupling
        person = prototypes(recognizers, self.photos.reference, list(self.photos.reference_landmarks))
        floors: Tensor | None = None
        if settings.floor == "impostor" and strangers is not None:
            with torch.no_grad():
                faces = [self.backbone.decode(each[None])[0] for each in strangers.mean[:STRANGERS]]
            floors = impostor_level(recognizers, detector, person, torch.stack(faces))
        return IdentityLoss(
            recognizers,
            detector,
            person,
            tau=settings.tau,
            detach_weights=settings.detach_weights,
            floors=floors,
        )
