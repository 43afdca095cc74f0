"""The network's shapes and ranges, with encoders of many families and those that do not fit."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from receipt_ocr.detector.decoder import AdaptiveScaleFusion, Decoder
from receipt_ocr.detector.encoder import build_encoder
from receipt_ocr.detector.network import DBNet, Head, build_network
from receipt_ocr.detector.settings import NetworkSettings

TINY = ["test_resnet", "test_efficientnet", "test_convnext", "test_mambaout"]
"""The last one has channels last."""

FAMILIES = [
    *TINY,
    *("resnet18", "hrnet_w18_small", "mobilenetv3_small_050", "regnetx_002"),
    "dla34",  # leaves out the first of its levels
    "pvt_v2_b0",  # a transformer
    "swin_tiny_patch4_window7_224",  # a transformer of one size, channels last, until told
]
"""The smallest member of each."""


def tiny(encoder: str = "test_resnet", decoder: Any = "dbnet") -> NetworkSettings:
    sizes = {"inner_channels": 16, "output_channels": 4}
    return NetworkSettings(encoder=encoder, decoder=decoder, pretrained=False, **sizes)


def random_images(height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, height, width), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("encoder", FAMILIES)
def test_encoders_of_many_families_learn_and_predict_at_any_size(encoder: str) -> None:
    network = build_network(tiny(encoder)).train()
    output = network(random_images(64, 96))
    for map_ in output:
        assert map_.shape == (2, 1, 64, 96)
        assert map_.dtype == torch.float32
        assert torch.isfinite(map_).all()
    for map_ in (output.threshold, output.binary):
        assert map_.min() >= 0 and map_.max() <= 1
    sum(map_.mean() for map_ in output).backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []
    with torch.no_grad():
        assert network.eval().predict(random_images(32, 160)).shape == (2, 1, 32, 160)


def test_the_maps_follow_from_the_logits_and_the_threshold() -> None:
    network, images = build_network(tiny()).eval(), random_images(64, 96)
    with torch.no_grad():
        output, probability = network(images), network.predict(images)
        assert torch.equal(network.predict(images.float()), probability)
    assert torch.equal(probability, output.logits.sigmoid())
    steep_step = 1 / (1 + torch.exp(-50.0 * (probability - output.threshold)))
    torch.testing.assert_close(output.binary, steep_step)


def test_images_are_normalised_as_the_encoder_was_trained() -> None:
    seen: list[torch.Tensor] = []

    class Spy(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
            seen.append(images)
            return [images[:, :1, ::stride, ::stride] for stride in (4, 8, 16, 32)]

    network = DBNet(Spy(), Decoder([1] * 4, 8, 4), Head(16, 50.0), (0.5,) * 3, (0.25,) * 3)
    network.eval().predict(torch.full((1, 3, 32, 32), 255, dtype=torch.uint8))
    torch.testing.assert_close(seen[0], torch.full((1, 3, 32, 32), (1 - 0.5) / 0.25))
    lite = build_network(tiny("tf_efficientnet_lite0"))
    assert lite.mean.flatten().tolist() == lite.std.flatten().tolist() == [127.5] * 3


def parameters(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.named_parameters()}


@pytest.mark.parametrize(("inner", "output"), [(256, 64), (64, 16)])
def test_decoder_and_head_have_the_published_layers(inner: int, output: int) -> None:
    channels = [96, 192, 384, 768]
    decoder = Decoder(channels, inner, output)
    shapes = parameters(decoder)
    for level, count in enumerate(channels):
        assert shapes[f"lateral.{level}.weight"] == (inner, count, 1, 1)
        assert shapes[f"smooth.{level}.weight"] == (output, inner, 3, 3)
    assert len(shapes) == 8
    assert decoder.out_channels == 4 * output
    # Each branch: 3x3 convolution to a quarter, then twice enlarged by a 2x2 transposed one.
    head = parameters(Head(4 * output, 50.0))
    for branch in ("probability", "threshold"):
        assert head[f"{branch}.0.weight"] == (output, 4 * output, 3, 3)
        assert head[f"{branch}.3.weight"] == (output, output, 2, 2)
        assert head[f"{branch}.6.weight"] == (output, 1, 2, 2)
        assert head[f"{branch}.6.bias"] == (1,)


def test_the_decoder_adds_coarse_levels_to_finer_ones() -> None:
    # Identity laterals and averaging smooths: the finest level is the sum of all four.
    decoder = Decoder([1] * 4, 1, 1)
    with torch.no_grad():
        for layer in decoder.lateral:
            layer.weight.fill_(1.0)
        for layer in decoder.smooth:
            layer.weight.zero_()
            layer.weight[0, 0, 1, 1] = 1.0
        levels = [torch.full((1, 1, 8 >> i, 8 >> i), 10.0**i) for i in range(4)]
        joined = decoder(levels)
    assert joined.shape == (1, 4, 8, 8)
    assert joined[0, :, 0, 0].tolist() == [1111.0, 1110.0, 1100.0, 1000.0]


def test_adaptive_scale_fusion_weighs_each_level_at_each_place() -> None:
    torch.manual_seed(0)
    fusion = AdaptiveScaleFusion(2)
    levels = [torch.randn(1, 2, 5, 6) for _ in range(4)]
    with torch.no_grad():
        joined = fusion(levels)
        # The definition, step by step.
        mixed = torch.conv2d(torch.cat(levels, 1), fusion.mix.weight, fusion.mix.bias, padding=1)
        mean = mixed.mean(1, keepdim=True)
        place = torch.conv2d(mean, fusion.place[0].weight, padding=1).clamp(min=0)
        place = torch.sigmoid(place * fusion.place[2].weight.item())
        weigh = fusion.weigh[0].weight[:, :, 0, 0]
        weights = torch.sigmoid(torch.einsum("kc,bchw->bkhw", weigh, mixed + place))
    assert joined.shape == (1, 8, 5, 6)
    for number, level in enumerate(levels):
        part = joined[:, 2 * number : 2 * number + 2]
        torch.testing.assert_close(part, weights[:, number : number + 1] * level)


def test_the_decoder_of_dbnet_has_the_names_of_earlier_checkpoints() -> None:
    plain = build_network(tiny()).decoder.state_dict()
    assert list(plain) == [f"{part}.{i}.weight" for part in ("lateral", "smooth") for i in range(4)]
    adaptive = build_network(tiny(decoder="dbnet++"))
    added = set(adaptive.decoder.state_dict()) - set(plain)
    assert {name.partition(".")[0] for name in added} == {"fusion"}
    assert adaptive.eval().predict(random_images(64, 96)).shape == (2, 1, 64, 96)


CERTAIN_SIZES = r" takes images of certain sizes only, not 64 x 416 \(.*"


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("resnet_51", r"no model 'resnet_51'; similar names: .*resnet"),
        ("nothing_like_this", "similar names: none"),
        ("test_vit", r"'test_vit' has no features at stride 4, only \[16"),
        ("maxvit_rmlp_pico_rw_256", rf"256'{CERTAIN_SIZES}must be divisible by window.*swin"),
        ("coat_tiny", rf"tiny'{CERTAIN_SIZES}Input height \(64\) doesn't match model \(224\)"),
        ("efficientformerv2_s0", rf"s0'{CERTAIN_SIZES}invalid for input of size"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused(encoder: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_encoder(tiny(encoder))


def test_an_encoder_without_weights_on_the_hub_is_refused() -> None:
    settings = NetworkSettings(encoder="resnetblur18")
    with pytest.raises(ValueError, match=r"'resnetblur18' gets no weights from the model hub: No "):
        build_encoder(settings)
    assert build_encoder(settings, load_weights=False)


@pytest.mark.parametrize("encoder", TINY)
def test_a_weights_file_fills_every_layer_or_is_refused(encoder: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    whole, file = timm.create_model(encoder), tmp_path / "weights.pth"
    torch.save(whole.state_dict(), file)
    settings = NetworkSettings(encoder=encoder, encoder_weights=str(file))
    # Wrapped encoders join a layer's first names by underscores.
    expected = {name.replace(".", "_"): value for name, value in whole.state_dict().items()}
    for name, value in build_encoder(settings).state_dict().items():
        assert torch.equal(value, expected[name.removeprefix("encoder.").replace(".", "_")]), name
    torch.save({"layer.weight": torch.zeros(2, 2)}, file)
    with pytest.raises(ValueError, match=rf"'{encoder}' gets no weights from .*weights\.pth"):
        build_encoder(settings)
