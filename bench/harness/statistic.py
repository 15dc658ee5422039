# SPDX-License-Identifier: Apache-2.0
"""Order statistics of samples, and a permutation test for two sets of them."""

import itertools
import math
import random

EXACT = 20_000      # so many arrangements are all tried; of more, SHUFFLES at random
SHUFFLES = 20_000
MOST = 300


def quantile(values, share):
    """The value below which `share` of the samples lie: nearest rank, so that it is a sample."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values):
    """The middle sample, or the mean of the two middle ones."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def ranks(values):
    """The rank of each value, from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    result = [0.0] * len(values)
    at = 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for i in order[at:end]:
            result[i] = (at + 1 + end) / 2
        at = end
    return result


def permutation_test(old, new):
    """The two-sided p value of both sets coming from one distribution, by the sum of ranks of `old`.

    Of more than MOST samples a part is taken. Ranks make one wild sample as harmless as a small one. All arrangements are tried if there are few;
    else a fixed seed makes the result of the same samples the same.
    """
    generator = random.Random(1)
    old, new = (generator.sample(list(some), min(len(some), MOST)) for some in (old, new))
    rank = ranks(old + new)
    expected = sum(rank) * len(old) / len(rank)
    seen = abs(sum(rank[:len(old)]) - expected) - 1e-9
    if math.comb(len(rank), len(old)) <= EXACT:
        sums = [sum(some) for some in itertools.combinations(rank, len(old))]
        return sum(abs(s - expected) >= seen for s in sums) / len(sums)
    beyond = sum(abs(sum(generator.sample(rank, len(old))) - expected) >= seen for _ in range(SHUFFLES))
    return (beyond + 1) / (SHUFFLES + 1)


def least_p(old, new):
    """The least p that permutation_test() can give for sets of these sizes."""
    return 2 / math.comb(old + new, old) if old and new else 1.0
