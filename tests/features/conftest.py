import pytest
import timm
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def tiny_weights() -> dict[str, Tensor]:
    """Random weights of timm's own model for tests, which is quick to build.

    Gains and statistics are drawn as well: fresh ones hide a loss of them, and fresh gains of zero
    cut whole blocks off.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = timm.create_model("test_resnet").state_dict()
        for name, tensor in weights.items():
            if name.endswith("running_mean"):
                tensor.uniform_(-0.1, 0.1)
            elif name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
                tensor.uniform_(0.5, 1.5)
    return weights
