"""Python's garbage collector, set up for a process that serves for months."""

import gc

#: Allocations until the youngest objects are looked through, and so many of each step until the next older ones are.
#: Python's own 700 has it run a hundred times a second under load, which is a tenth of the time of a call.
THRESHOLDS = (10_000, 20, 20)


def space_out_collections() -> None:
    """Have the collector run by `THRESHOLDS`."""
    gc.set_threshold(*THRESHOLDS)


def settle_collector() -> None:
    """Leave what a process has built up until it is ready out of all later collections.

    It is there to stay: hundreds of thousands of objects, and looking through them stops every thread for a sixth of a
    second at a time. To be called once, when everything is imported.
    """
    gc.freeze()  # not after a collection: what little garbage there is costs less than each start would
