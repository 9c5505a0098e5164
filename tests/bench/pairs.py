# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two sides of a comparison, measured in turn, so that what else the machine does meets both alike."""

import statistics


def measure(ours, other, times):
    """[(ours, other)] in milliseconds; each side is a function that returns seconds. Who comes first changes too."""
    pairs = []
    for i in range(times):
        pair = [0.0, 0.0]
        for side in (0, 1) if i % 2 else (1, 0):
            pair[side] = (ours, other)[side]() * 1000
        pairs.append(pair)
    return pairs


def report(name, pairs, other, words):
    """One line: the ratio of the medians, both, the median of the differences, and where half of these lie."""
    ours, peer = (statistics.median(p[i] for p in pairs) for i in (0, 1))
    low, middle, high = statistics.quantiles((a - b for a, b in pairs), n=4)
    print(f"{name}: {ours / peer:.2f}, ours {ours:.2f} ms, {other} {peer:.2f} ms ({words}; {middle:+.2f} ms, quartiles {low:+.2f} to "
          f"{high:+.2f}, {len(pairs)} pairs)", flush=True)
