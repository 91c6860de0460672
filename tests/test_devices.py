"""The device of a run is the right one, or a line says what to install."""

import pytest
import torch

from paramrel import devices
from paramrel.devices import check_kernels, choose_device, described, make_cuda_deterministic
from paramrel.errors import UserError
from paramrel.settings import Runtime


def test_a_gpu_that_torch_cannot_use_is_no_processor(monkeypatch):
    def old_driver() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).\nPlease update.")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "init", old_driver)
    for device in ("auto", "cuda"):
        with pytest.raises(UserError, match="driver on your system is too old.*update the driver.*device to cpu"):
            choose_device(Runtime(device=device))
    assert choose_device(Runtime(device="cpu")).type == "cpu"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device(Runtime(device="auto")).type == "cpu"


def test_a_gpu_without_kernels_in_this_build_is_refused(monkeypatch):
    built = ["sm_75", "sm_80", "sm_90a", "sm_120"]
    for capability in ((7, 5), (8, 0), (8, 9), (9, 0), (12, 0), (12, 1)):
        check_kernels(capability, built)
    for capability in ((7, 0), (6, 1), (10, 0)):
        with pytest.raises(
            UserError, match=rf"no kernels for this GPU, of compute capability {capability[0]}\.{capability[1]}"
        ):
            check_kernels(capability, built)
    check_kernels((10, 0), [*built, "compute_90"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (6, 1))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built)
    with pytest.raises(UserError, match="no kernels"):
        choose_device(Runtime(device="auto"))


def test_the_first_line_names_device_driver_precision_and_threads(monkeypatch, tmp_path):
    assert described(torch.device("cpu"), "bf16", 2) == "device: cpu, precision bf16, 2 threads"
    version = tmp_path / "version"
    version.write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.124.06  Wed Feb 26 02:11:40 UTC 2025\nGCC 12.2.0\n"
    )
    monkeypatch.setattr(devices, "DRIVER", version)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "A100")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    line = described(torch.device("cuda"), "fp32", 1)
    assert line.startswith("device: A100 (driver 570.124.06, CUDA ") and line.endswith(
        "GPUs: 1), precision fp32, 1 thread"
    )


def test_deterministic_kernels_are_of_float32_unless_asked_and_fill_no_memory():
    kept = torch.backends.fp32_precision, torch.utils.deterministic.fill_uninitialized_memory
    try:
        for precision, of_matmul in (("fp32", "ieee"), ("bf16", "ieee"), ("tf32", "tf32")):
            make_cuda_deterministic(precision)
            assert torch.backends.cuda.matmul.fp32_precision == torch.backends.cudnn.conv.fp32_precision == of_matmul
        assert not torch.utils.deterministic.fill_uninitialized_memory and torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.fp32_precision, torch.utils.deterministic.fill_uninitialized_memory = kept
        for enable in ("enable_flash_sdp", "enable_mem_efficient_sdp", "enable_cudnn_sdp"):
            getattr(torch.backends.cuda, enable)(True)
