# SPDX-License-Identifier: Apache-2.0
"""Programs that Cordon is compared with, one file each. suites/peers.py lists and runs them.

A peer's module has NAME (for --peers), TITLE, and a function for each kind of work that it can do, which returns
a Start or raises NotMeasured:

    null(bench, work)   boots work.null, which resets the machine after two instructions
    idle(bench, work)   boots work.idle, which runs for ever
    boot(bench, work)   boots work.kernel with work.initrd, whose first program restarts the machine
    command(bench, work, argv)   runs a command in a new sandbox whose root is work.root

and, where command() needs it, prepare(bench, work), which is called once before.
"""
