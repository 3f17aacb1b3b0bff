"""One epoch of CIKGRec and of LightGCN, all losses on, and what share of it goes to drawing batches.

python -m tests.benchmarks.bench_epochs SNAPSHOT [--threads N] [--repeats N]

SNAPSHOT is a folder of `cikg snapshot`; the published code takes 83 s an epoch of DBbook2014 on two cores.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from cikg.graph.snapshot import open_snapshot
from cikg.recommend import method
from cikg.recommend.data.views import training_data
from cikg.recommend.method import Gradient
from cikg.recommend.parts.ranking import Ranking
from cikg.schema import SplitCode

CASES = {
    "cikgrec, paper": ("cikgrec", {"fidelity": "paper"}),
    "cikgrec, reference": ("cikgrec", {"fidelity": "reference", "self_loops": True}),
    "cikgrec, improved": ("cikgrec", {}),
    "lightgcn, softmax": ("lightgcn", {}),
    "lightgcn, bpr, interactions alone": ("lightgcn", {"loss": "bpr", "graph": "cg"}),
}


def main() -> None:
    """Print one line a case: seconds of the clock and of the processor, the least of the repetitions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = training_data(open_snapshot(arguments.snapshot), (SplitCode.TRAIN, SplitCode.VALID), None)
    for title, (name, overrides) in CASES.items():
        torch.manual_seed(0)
        config = method.configure(name, overrides)
        model = method.find(name).build(data, config, torch.device("cpu"))
        assert isinstance(model, Gradient)
        optimisers, generator = model.optimisers(), torch.Generator().manual_seed(0)
        clock, work = [], []
        for epoch in range(arguments.repeats + 1):
            start, began = time.perf_counter(), time.process_time()
            for which, loss in model.steps(epoch, generator):
                optimisers[which].zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimisers[which].step()
            clock.append(time.perf_counter() - start)
            work.append(time.process_time() - began)
        start = time.perf_counter()
        list(Ranking(data, config, torch.device("cpu")).batches(generator))  # type: ignore[arg-type]
        drawing = time.perf_counter() - start
        found = {"seconds": min(clock[1:]), "processor seconds": min(work[1:]), "drawing": drawing / min(clock[1:])}
        print(title, {key: round(value, 3) for key, value in found.items()}, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
