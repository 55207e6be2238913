"""Whether what a name leads to keeps the contract of `lipbench.core.method` or `lipbench.core.metric`.

It is asked when the name is loaded. Built-ins and plug-ins pass through the same check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lipbench.core.errors import UsageError
from lipbench.core.method import Method, MethodSpec, Params
from lipbench.core.metric import MetricFamily, MetricSpec, Options

STAGES = ("prepare", "fit", "synthesize")
NEEDS = frozenset({"gpu", "faces", "truth"})
KINDS = frozenset({"method", "control"})
ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FIX = "see `A method` in CONTRIBUTING.md; the package that provides it must be corrected"
#: What the engine asks of a method.
_CALLED = (*STAGES, "identity", "weights", "needs", "driver", "stage_inputs", "stage_code", "uses_gpu")


def checked_method(found: Any, name: str, source: str) -> Method:
    """The method that a name leads to, as an instance.

    Args:
        found: a subclass of `Method`, an instance of one, or a function that makes one.
        name: what it is registered as.
        source: where it was found, for the error.

    Raises:
        UsageError: it does not keep the contract; the error says in what.
    """
    if isinstance(found, type) and not issubclass(found, Method):
        lacks = [part for part in ("spec", *_CALLED) if not hasattr(found, part)]
        why = f"{found.__name__} is no subclass of lipbench.core.method.Method"
        raise broken(name, source, why + (f" and lacks {', '.join(lacks)}" if lacks else ""))
    if not isinstance(found, Method) and callable(found):
        if missing := sorted(getattr(found, "__abstractmethods__", ())):
            raise broken(name, source, f"it does not implement {', '.join(missing)}")
        try:
            found = found()
        except TypeError as error:
            raise broken(name, source, f"it cannot be made without arguments: {error}") from error
    if not isinstance(found, Method):
        raise broken(name, source, f"it is a {type(found).__name__}, not a lipbench.core.method.Method")
    if wrong := next(faults(found, name), None):
        raise broken(name, source, wrong)
    return found


def broken(name: str, source: str, why: str) -> UsageError:
    """The error for a method that does not keep the contract."""
    return UsageError(f"the method {name!r} from {source} cannot be used", why, _FIX)


def faults(method: Method, name: str) -> Iterator[str]:
    """What is wrong with a method, one line each; nothing for a good one.

    Args:
        name: what it is registered as.
    """
    spec = getattr(method, "spec", None)
    if not isinstance(spec, MethodSpec):
        yield f"its `spec` is a {type(spec).__name__}, not a MethodSpec"
        return
    yield from spec_faults(spec, name)
    for stage in spec.stages:
        if stage in STAGES and getattr(type(method), stage) is getattr(Method, stage):
            yield f"its spec names the stage {stage}, which {type(method).__name__} does not implement"


def spec_faults(spec: MethodSpec, name: str) -> Iterator[str]:
    """What is wrong with a spec alone; as `faults`."""
    if spec.id != name:
        yield f"its spec says id={spec.id!r}, it is registered as {name!r}"
    if not ID.fullmatch(spec.id):
        yield f"its id {spec.id!r} is not lower case with hyphens"
    for field in ("version", "title", "licence"):
        value = getattr(spec, field)
        if not isinstance(value, str) or not value.strip():
            yield f"its spec has no {field}"
    for field in ("stages", "weights", "deviations", "former_ids"):
        value = getattr(spec, field)
        if not isinstance(value, tuple) or not all(isinstance(v, str) and v for v in value):
            yield f"its spec's {field} is {value!r}, not a tuple of texts (one text needs a comma: `(text,)`)"
            return
    if strange := [stage for stage in spec.stages if stage not in STAGES]:
        yield f"its spec names the stage {strange[0]!r}; there are: {', '.join(STAGES)}"
    if "synthesize" not in spec.stages:
        yield "its spec leaves out the stage synthesize, which every method has"
    if not isinstance(spec.needs, frozenset) or not spec.needs <= NEEDS:
        yield f"its spec needs {spec.needs!r}; a frozenset of {', '.join(sorted(NEEDS))} is understood"
    if spec.uses_gpu is not None and not (isinstance(spec.uses_gpu, tuple) and {*spec.uses_gpu} <= {*spec.stages}):
        yield f"its spec's uses_gpu is {spec.uses_gpu!r}, not a tuple of its stages, or None for all of them"
    if spec.kind not in KINDS:
        yield f"its spec is of kind {spec.kind!r}; there are: {', '.join(sorted(KINDS))}"
    if not isinstance(spec.params, type) or not issubclass(spec.params, Params):
        yield f"its spec's params is {spec.params!r}, not a subclass of lipbench.core.method.Params"


#: Ids of metrics are columns of tables and files.
COLUMN = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
METRIC_NEEDS = frozenset({"reference", "truth", "audio", "faces", "prediction_faces", "truth_faces", "mesh"})
BETTER = frozenset({"higher", "lower", "none", "zero"})
_FAMILY_FIX = "see `A metric` in CONTRIBUTING.md; the package that provides it must be corrected"


def checked_family(found: Any, name: str, source: str) -> MetricFamily:
    """The metric family that a name leads to, as an instance.

    Args:
        found: a subclass of `MetricFamily`, an instance of one, or a function that makes one.
        name: what it is registered as.
        source: where it was found, for the error.

    Raises:
        UsageError: it does not keep the contract; the error says in what.
    """

    def refusal(why: str) -> UsageError:
        return UsageError(f"the metric family {name!r} from {source} cannot be used", why, _FAMILY_FIX)

    if isinstance(found, type) and not issubclass(found, MetricFamily):
        raise refusal(f"{found.__name__} is no subclass of lipbench.core.metric.MetricFamily")
    if not isinstance(found, MetricFamily) and callable(found):
        if missing := sorted(getattr(found, "__abstractmethods__", ())):
            raise refusal(f"it does not implement {', '.join(missing)}")
        try:
            found = found()
        except TypeError as error:
            raise refusal(f"it cannot be made without arguments: {error}") from error
    if not isinstance(found, MetricFamily):
        raise refusal(f"it is a {type(found).__name__}, not a lipbench.core.metric.MetricFamily")
    if wrong := next(family_faults(found, name), None):
        raise refusal(wrong)
    return found


def family_faults(family: MetricFamily, name: str) -> Iterator[str]:
    """What is wrong with a metric family, one line each; nothing for a good one.

    Args:
        name: what it is registered as.
    """
    own = getattr(family, "id", None)
    if own != name:
        yield f"its id is {own!r}, it is registered as {name!r}"
    if not ID.fullmatch(name):
        yield f"its id {name!r} is not lower case with hyphens"
    metrics = getattr(family, "metrics", None)
    if not isinstance(metrics, tuple) or not metrics or not all(isinstance(m, MetricSpec) for m in metrics):
        yield "its `metrics` is not a tuple of at least one MetricSpec"
        return
    ids = [m.id for m in metrics]
    for metric in metrics:
        if not COLUMN.fullmatch(metric.id):
            yield f"the metric id {metric.id!r} is not lower case with underscores"
        if ids.count(metric.id) > 1:
            yield f"two of its metrics are called {metric.id!r}"
        if not isinstance(metric.needs, frozenset) or not metric.needs <= METRIC_NEEDS:
            yield f"{metric.id} needs {metric.needs!r}; a frozenset of {', '.join(sorted(METRIC_NEEDS))} is understood"
        if metric.better not in BETTER:
            yield f"{metric.id} is better {metric.better!r}; there are: {', '.join(sorted(BETTER))}"
    if not isinstance(family.options, type) or not issubclass(family.options, Options):
        yield f"its `options` is {family.options!r}, not a subclass of lipbench.core.metric.Options"
