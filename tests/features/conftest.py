import pytest
import timm
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def tiny_weights() -> dict[str, Tensor]:
    """Random weights of timm's own model for tests, which is quick to build."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = timm.create_model("test_resnet").state_dict()
        # Statistics as after training, so that a loss of them would show.
        return {
            name: tensor + torch.rand(tensor.shape) if "running" in name else tensor
            for name, tensor in state.items()
        }
