"""Nets on which backward rules attached to modules are wrong; each call makes a new net with its own weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]


def filled(net: nn.Module, seed: int = 11, size: float = 0.6) -> nn.Module:
    """Weights and biases of every layer from a normal distribution, in float64; norms keep a scale around one."""
    generator = torch.Generator().manual_seed(seed)
    net = net.double().eval()
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            tensor.copy_(size * torch.randn(tensor.shape, generator=generator, dtype=torch.float64))
            if "norm" in name.lower() and name.endswith("weight"):
                tensor.add_(1.0)
        for name, tensor in net.named_buffers():
            if name.endswith("running_mean"):
                tensor.copy_(0.3 * torch.randn(tensor.shape, generator=generator, dtype=torch.float64))
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator, dtype=torch.float64))
    return net


def normal_tensor(*shape: int, seed: int = 2) -> torch.Tensor:
    """A tensor of standard normal values."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Composed(nn.Module):
    """Named layers and a forward pass that is a function of them."""

    def __init__(self, forward: Forward, **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.function = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self, x)


def functional_net(f: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    """Two dense layers with a function between them."""
    return Composed(lambda m, x: m.two(f(m.one(x))), one=nn.Linear(5, 7), two=nn.Linear(7, 3))


def conv_relu_pool() -> nn.Module:
    """Convolution, ReLU, MaxPool, dense."""
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))


def sigmoid_tanh() -> nn.Module:
    """Sigmoid and Tanh, one after the other."""
    return nn.Sequential(nn.Linear(5, 7), nn.Sigmoid(), nn.Tanh(), nn.Linear(7, 3))


def softmax_head() -> nn.Module:
    """A net that ends in a softmax module."""
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3), nn.Softmax(dim=1))


def residual() -> nn.Module:
    """h + f(h), written in forward."""
    return Composed(
        lambda m, x: m.head((h := torch.relu(m.stem(x))) + torch.relu(m.branch(h))),
        stem=nn.Linear(5, 7),
        branch=nn.Linear(7, 7),
        head=nn.Linear(7, 3),
    )


def gated() -> nn.Module:
    """h · sigmoid(g), written in forward."""
    return Composed(
        lambda m, x: m.head(m.value(x) * torch.sigmoid(m.gate(x))),
        value=nn.Linear(5, 7),
        gate=nn.Linear(5, 7),
        head=nn.Linear(7, 3),
    )


def normed() -> nn.Module:
    """A layer norm between two dense layers."""
    return nn.Sequential(nn.Linear(5, 7), nn.LayerNorm(7), nn.Linear(7, 3))


def in_place() -> nn.Module:
    """Rectifiers, sums, products and slices that work in place."""

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        h = m.one(x)
        h += x[:, :1]
        h.mul_(0.5)
        h[:, 2:4] = x[:, 1:3]
        functional.relu_(h)
        return m.two(m.relu(m.middle(h)))

    return Composed(
        forward, one=nn.Linear(5, 7), middle=nn.Linear(7, 7), relu=nn.ReLU(inplace=True), two=nn.Linear(7, 3)
    )


def overwritten(over: bool = True) -> nn.Module:
    """The input of a dense layer is overwritten afterwards; or the same function, out of place."""

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        h = m.one(x)
        read = m.two(h)
        if over:
            h *= 0.3
            functional.relu_(h)
        else:
            h = functional.relu(h * 0.3)
        return m.head(read) + m.direct(h)

    return Composed(forward, one=nn.Linear(5, 7), two=nn.Linear(7, 7), direct=nn.Linear(7, 3), head=nn.Linear(7, 3))


def reused() -> nn.Module:
    """One activation and one dense layer, called twice each."""
    return Composed(
        lambda m, x: m.head(m.act(m.repeated(m.act(m.repeated(m.stem(x)))))),
        stem=nn.Linear(5, 6),
        repeated=nn.Linear(6, 6),
        act=nn.Tanh(),
        head=nn.Linear(6, 3),
    )


def strange_convolutions() -> nn.Module:
    """Grouped, depthwise, dilated and transposed convolutions, some with a batch norm."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, groups=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4, bias=False),
        nn.SiLU(),
        nn.ConvTranspose2d(4, 6, 2, stride=2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.ConvTranspose2d(6, 3, 3, stride=1, bias=False),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(147, 3),
    )


def grouped_transposed() -> nn.Module:
    """A transposed convolution in groups."""
    return nn.Sequential(
        nn.ConvTranspose2d(2, 4, 2, stride=2, groups=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(576, 3)
    )


def encoder(batch_first: bool, norm_first: bool, padded: bool, activation: str = "gelu") -> nn.Module:
    """torch's own transformer encoder over rows (token, unit), a linear head on the mean of tokens."""
    layer = nn.TransformerEncoderLayer(
        6, 2, dim_feedforward=8, dropout=0.1, activation=activation, batch_first=batch_first, norm_first=norm_first
    )
    padding = torch.tensor([False, False, False, True])

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        shut = padding.expand(len(x), 4) if padded else None
        states = m.layers(x if batch_first else x.transpose(0, 1), src_key_padding_mask=shut)
        states = states if batch_first else states.transpose(0, 1)
        return m.head(states[:, :3].mean(1))

    stack = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return Composed(forward, layers=stack, head=nn.Linear(6, 3))


def attention(batch_first: bool, mask: str, need_weights: bool) -> nn.Module:
    """torch's own multi-head attention under a mask."""
    shut = {
        "none": None,
        "bool": torch.triu(torch.ones(4, 4, dtype=torch.bool), 1),
        "float": normal_tensor(4, 4, seed=5),
    }[mask]

    def forward(m: Any, x: torch.Tensor) -> torch.Tensor:
        x = x if batch_first else x.transpose(0, 1)
        out = m.attention(x, x, x, attn_mask=shut, need_weights=need_weights)[0]
        return m.head(out.mean(1 if batch_first else 0))

    return Composed(forward, attention=nn.MultiheadAttention(6, 2, batch_first=batch_first), head=nn.Linear(6, 3))


class Embedded(nn.Module):
    """A Hugging Face net over embeddings (row, token, unit), unmodified; scores of the last token."""

    def __init__(self, net: nn.Module, mask: bool) -> None:
        super().__init__()
        self.net = net
        self.mask = mask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = torch.ones(x.shape[:2], dtype=torch.long)
        if self.mask:
            seen[:, -1] = 0
        out = self.net(inputs_embeds=x, attention_mask=seen).logits
        return out if out.ndim == 2 else out[:, -2]


def hugging_face(family: str, how: str, mask: bool = False) -> nn.Module:
    """A tiny BERT, GPT-2 or Llama with random weights."""
    import transformers

    common = {"attn_implementation": how, "vocab_size": 11}
    if family == "bert":
        config: Any = transformers.BertConfig(
            hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12, num_labels=3, **common
        )
        net: Any = transformers.BertForSequenceClassification(config)
    elif family == "gpt2":
        config = transformers.GPT2Config(n_embd=8, n_layer=2, n_head=2, n_positions=8, use_cache=False, **common)
        net = transformers.GPT2LMHeadModel(config)
    else:
        config = transformers.LlamaConfig(
            hidden_size=8,
            intermediate_size=12,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            use_cache=False,
            **common,
        )
        net = transformers.LlamaForCausalLM(config)
    return Embedded(filled(net, size=0.4), mask)
