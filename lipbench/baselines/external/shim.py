"""Worker that calls a Python function in a method's own environment: job.json in, result.json out.

Started by lipbench as `python shim.py job.json`. Standard library only, Python 3.7 and later, nothing of lipbench.
"""

import importlib
import inspect
import json
import os
import sys
import time
import traceback
from typing import Any


def resolve(call: str, init: dict) -> Any:
    """'module:function' or 'module:Class.method' -> something to call; classes on the way are made with `init`."""
    module, _, path = call.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
        if inspect.isclass(found):
            found = found(**init)
    if not callable(found):
        raise TypeError(f"{call} is a {type(found).__name__} and cannot be called")
    return found


def versions() -> dict:
    """What runs here; only modules that the method has imported itself are asked."""
    found = {"python": sys.version.split()[0]}
    for name in ("torch", "numpy", "cv2", "tensorflow"):
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            found[name] = str(version)
    return found


def main(job_file: str) -> int:
    with open(job_file) as stream:
        job = json.load(stream)
    # As with `python -m`: the working folder, not the folder of this file.
    sys.path[0] = os.getcwd()
    start = time.time()
    try:
        answer = resolve(job["call"], job["init"])(
            video=job["video"], audio=job["audio"], out=job["out"], **job["args"]
        )
        result = {"status": "ok", "answer": answer if isinstance(answer, (str, int, float, dict)) else None}
    except Exception as error:
        traceback.print_exc()
        result = {"status": "error", "type": type(error).__name__, "message": str(error)}
    result["seconds"] = time.time() - start
    result["versions"] = versions()
    draft = job["result"] + ".part"
    with open(draft, "w") as stream:
        json.dump(result, stream, default=str)
    os.replace(draft, job["result"])
    return 0 if result["status"] == "ok" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
