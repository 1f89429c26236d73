"""Prints the learning rates of torch.optim.lr_scheduler, for the tests of packtrain's schedules (torch 2.11)."""
import torch
from torch.optim import lr_scheduler as s


def rates(epochs, lr, make):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler, found = make(optimizer), []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [float(f"{rate:.10g}") for rate in found]


def warm(scheduler):
    return lambda o: s.ChainedScheduler([s.LinearLR(o, start_factor=0.25, total_iters=3), scheduler(o)])


print("POLYNOMIAL", rates(7, 0.005, lambda o: s.PolynomialLR(o, total_iters=7, power=1.0)))
print("SQUARE", rates(7, 0.005, lambda o: s.PolynomialLR(o, total_iters=7, power=2.0)))
print("STEP", rates(8, 0.1, lambda o: s.StepLR(o, step_size=3, gamma=0.5)))
print("PHASES", rates(7, 1e-2, lambda o: s.MultiStepLR(o, milestones=[3, 5], gamma=0.1)))
print("COSINE", rates(6, 0.1, lambda o: s.CosineAnnealingLR(o, T_max=6, eta_min=0.01)))
one_cycle = dict(max_lr=0.5, total_steps=10, pct_start=0.4, div_factor=5, final_div_factor=1000)
print("ONE_CYCLE", rates(10, 0.1, lambda o: s.OneCycleLR(o, **one_cycle)))
print("WARM_COSINE", rates(6, 0.1, warm(lambda o: s.CosineAnnealingLR(o, T_max=6, eta_min=0.0))))
# The original's own function, applied at the start of every epoch.
print("BOOK", [5e-3 * (1 - (epoch / 70.0)) ** 1.0 for epoch in (0, 1, 35, 69)])
