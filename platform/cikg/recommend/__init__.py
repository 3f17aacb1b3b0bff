"""The engine: graph views, propagation, losses, sampling, evaluation, and the methods."""

import os

# Read once, when torch loads its threads. By default a thread that waits for the others spins; where anything else
# wants the processor (Neo4j and the worker beside it), each of thousands of small operations then waits for a whole
# time slice: an epoch of 2 s took 70 s. Sleeping costs microseconds.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
