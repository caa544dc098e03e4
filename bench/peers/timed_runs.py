"""What the Python peers of bench/peers.ts share: one run for each line on standard input, timed.

Prints {"ms": …, "cpuMs": …} for each run and, at the end of the input, {"peakMegabytes": …, "version": …}.
"""
import json
import resource
import sys
import time


def answer(run, version):
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        started, used = time.perf_counter(), time.process_time()
        run()
        ms, cpu_ms = 1000 * (time.perf_counter() - started), 1000 * (time.process_time() - used)
        print(json.dumps({"ms": ms, "cpuMs": cpu_ms}), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"peakMegabytes": peak, "version": version}))
