"""Every experiment of the configuration builds, learns a step, is saved, loaded and predicts."""

from pathlib import Path
from typing import Any

import pytest
import torch

from receipt_ocr.detector.checkpoint import Checkpoint, write_checkpoint
from receipt_ocr.detector.inference import Detector
from receipt_ocr.detector.settings import Recipe
from receipt_ocr.receipts.images import read_upright
from receipt_ocr.receipts.labelled_pages import LabelledPage
from receipt_ocr.training.loading import PagesData
from receipt_ocr.training.module import DetectorModule
from tests.detector.configured import read_block, read_experiments

SIZE = 64
NAMES = list(read_block("base")["variants"])


def reduced(recipe: Recipe) -> Recipe:
    """The same network and optimiser on tiny images, without ImageNet weights."""
    content = recipe.model_dump(mode="json")
    content["network"]["pretrained"] = False
    content["frame"]["sizes"] = [{**stage, "size": SIZE} for stage in content["frame"]["sizes"]]
    content["training"].update(batch_size=2, workers=0, threads=1, accelerator="cpu")
    return Recipe.model_validate(content)


@pytest.mark.usefixtures("few_random_numbers")
@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_learns_a_step_is_saved_loaded_and_predicts(
    name: str, training_pages: list[LabelledPage], tmp_path: Path
) -> None:
    recipe = reduced(read_experiments().named(name))
    module = DetectorModule(recipe, [], steps_per_epoch=1).train()
    optimizer = module.configure_optimizers()["optimizer"]
    (batch,) = PagesData(training_pages[:2], [], recipe).train_dataloader()
    assert max(batch["image"].shape[-2:]) == SIZE
    before = [weight.detach().clone() for weight in module.network.head.parameters()]
    loss = module.loss(module.network(batch["image"]), batch).total
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    after = module.network.head.parameters()
    assert not any(torch.equal(old, new) for old, new in zip(before, after, strict=True))

    path = tmp_path / "best.ckpt"
    write_checkpoint(Checkpoint(path, recipe, module.network.state_dict(), 0, []), path)
    detector = Detector.from_checkpoint(path, device="cpu")
    images = torch.from_numpy(read_upright(training_pages[0].path)[:SIZE, :SIZE].copy())
    images = images.permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = module.network.eval().predict(images)
        torch.testing.assert_close(detector.network.predict(images), expected)
    found = detector.detect(read_upright(training_pages[0].path))
    assert len(found.polygons) == len(found.scores)
    path.unlink()  # pytest keeps its folders, and these files are large


@pytest.fixture
def few_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing a hundred million first weights takes seconds: repeat some thousand of them."""
    draw = torch.Tensor.uniform_

    def repeat(weights: torch.Tensor, *limits: float, **options: Any) -> torch.Tensor:
        drawn = draw(torch.empty(4099), *limits, **options)
        count = weights.numel()
        with torch.no_grad():
            return weights.copy_(drawn.repeat(count // 4099 + 1)[:count].view_as(weights))

    monkeypatch.setattr(torch.Tensor, "uniform_", repeat)


def changes(name: str) -> dict[str, Any]:
    experiments, found = read_experiments(), {}
    base = experiments.recipe.model_dump()
    for block, values in experiments.named(name).model_dump().items():
        found |= {key: value for key, value in values.items() if value != base[block][key]}
    return found


def test_the_experiments_differ_from_the_recipe_as_the_report_has_it() -> None:
    assert changes("convnext_tiny") == {}
    assert changes("baseline_resnet50") == {"encoder": "resnet50"}
    assert changes("efficientnet_b3") == {"encoder": "efficientnet_b3"}
    small = {"encoder": "convnext_small", "learning_rate": 0.0004, "weight_decay": 0.00012}
    assert changes("convnext_small") == small
    assert changes("convnext_tiny_lr5e-4") == {"learning_rate": 0.0005}
    assert changes("convnext_tiny_short") == {"epochs": 15, "patience": 3}
    assert changes("convnext_tiny_dbnetpp") == {"decoder": "dbnet++"}
    assert changes("convnext_tiny_ema") == {"ema_decay": 0.999}
    assert set(changes("convnext_tiny_three_stage")) == {"sizes"}
    frame = read_experiments().named("convnext_tiny_three_stage").frame
    sizes = [frame.size_at(epoch) for epoch in range(8)]
    assert sizes == [640, 640, 640, 800, 800, 800, 960, 960]


@pytest.mark.parametrize("name", ["hrnet_w44_1024", "convnext_base_384_1024"])
def test_the_experiments_of_the_contest_see_large_pages(name: str) -> None:
    recipe = read_experiments().named(name)
    assert recipe.network.encoder.startswith(name.partition("_1024")[0].partition("_384")[0])
    assert {recipe.frame.size_at(epoch) for epoch in range(20)} == {1024}
    assert (recipe.augmentation.brightness, recipe.augmentation.contrast) == (0.2, 0.2)


@pytest.mark.parametrize("environment", ["demo", "sroie"])
@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_is_the_same_network_in_every_environment(
    name: str, environment: str
) -> None:
    own, base = read_experiments(environment).named(name), read_experiments().named(name)
    assert own.network.encoder == base.network.encoder
    assert own.network.decoder == base.network.decoder
    assert own.network.encoder_weights is None
    if "frame" in read_block("base")["variants"][name]:  # a frame is of one piece
        assert own.frame == base.frame
