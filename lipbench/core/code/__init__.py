"""What code a result depends on, for cache keys: the modules that a stage imports, hashed by their syntax.

    sources = current()                                   the files as the last plan saw them; `renew()` looks again
    sources.code("lipbench.metrics.image")                a module and every module it imports, directly or not
    sources.code("lipbench.engine.stages:run_clip")       one function, what it uses of its module, and their imports
    sources.code("lipbench.lipnerf.method:LipNerf.fit")   one method of a class

`syntax` hashes, `scan` reads what a module imports, `narrow` what a part of it uses, `places` finds its file, `closure`
follows the imports, `cache` remembers files that have not changed, `record` writes closures into run directories.
Hashes are the same on every Python from 3.10 on.
"""

from lipbench.core.code.closure import Code, Sources, current, renew

__all__ = ["Code", "Sources", "current", "renew"]
