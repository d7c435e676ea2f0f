"""Small nets for tests; each is made afresh, so that no test can see another's changes."""

import torch
from torch import nn


def small(inputs: int = 4, classes: int = 3, train: bool = False) -> nn.Sequential:
    """A smooth net with a batch norm (its buffers would show an update in training mode)."""
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(inputs, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, classes))
    torch.random.set_rng_state(torch_state)
    return net.train(train)


def images(classes: int = 3) -> nn.Sequential:
    """A small net for images (3, 6, 6) that works in place right after its first convolution."""
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, classes)
    )
    torch.random.set_rng_state(torch_state)
    return net.eval()
