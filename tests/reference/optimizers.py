"""Prints where 20 steps of torch.optim lead, for the tests of packtrain-worker's optimizers (torch 2.11)."""
import torch

SLOPE = torch.tensor([0.5, 1.0, 1.5, 2.0])
PULL = torch.tensor([0.3, -0.2, 0.1, -0.4])


def run(name, make):
    kernel = torch.tensor([[1.0, -2.0, 3.0, 0.5]])
    offset = torch.tensor([0.1, 0.2, -0.3, 0.4])
    # l2 = 0.01: the gradient of 0.01 * sum(w^2) is 0.02 * w, on the kernel alone.
    optimizer = make([{"params": [kernel], "weight_decay": 0.02}, {"params": [offset]}])
    for _ in range(20):
        kernel.grad, offset.grad = kernel * SLOPE + PULL, offset * SLOPE - PULL
        optimizer.step()
    print(name, kernel.flatten().tolist() + offset.tolist())


def decaying(groups):
    """The same decay for AdamW, which takes it from the weights and not from the gradients."""
    return [groups[0] | {"weight_decay": 0.2}, groups[1] | {"weight_decay": 0.0}]


run("sgd", lambda groups: torch.optim.SGD(groups, lr=0.1))
run("momentum", lambda groups: torch.optim.SGD(groups, lr=0.05, momentum=0.9))
run("nesterov", lambda groups: torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True))
run("adamw", lambda groups: torch.optim.AdamW(decaying(groups), lr=0.05, betas=(0.9, 0.99), eps=1e-8))
run("adam", lambda groups: torch.optim.Adam(groups, lr=0.05, betas=(0.9, 0.99), eps=1e-8))
