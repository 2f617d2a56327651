"""What a newcomer pastes into a shell: the address and the key, a worker in three languages, and a job for it.

The address and the key stand in one place alone, the first text; all others read them from the environment. The workers
are as short as they can be; their whole forms are in the documentation of the worker protocol.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

JOB_TYPE: Final = "nightly"
NO_KEY: Final = "jt_..."
"""Stands for a key that the reader has."""

_PYTHON: Final = """\
cd "$(mktemp -d)" && python3 -m venv .venv && .venv/bin/pip install "$(curl -sSf "$JOBTRACK_URL/client/")"
cat > nightly.py <<'END'
from pathlib import Path
from jobtrack_client import JobContext, Worker, job


@job("nightly")
def nightly(ctx: JobContext) -> None:
    files = ctx.track(ctx.todo(default=ctx.payload["files"]))
    for name in files:
        with files.guard(OSError):
            files.item(result={"bytes": len(Path(name).read_bytes())})


Worker(types=nightly).run_until_signal()
END
.venv/bin/python nightly.py
"""
_TYPESCRIPT: Final = """\
cd "$(mktemp -d)"
cat > nightly.mts <<'END'
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import process from "node:process";

async function call(path: string, body: object): Promise<any> {
  const response = await fetch(`${process.env.JOBTRACK_URL}/v1/${path}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${process.env.JOBTRACK_API_KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

const claim = { worker: `${hostname()}:${process.pid}`, types: ["nightly"], lease_seconds: 3600, wait: 20 };
while (true) {
  const { jobs } = await call("claims", claim);
  for (const job of jobs) {
    const token = job.lease.token;
    let bytes = 0;
    for (const key of job.payload?.files ?? []) {
      let item: object = { key, status: "completed" };
      try {
        bytes += (await readFile(key)).length;
      } catch (error) {
        item = { key, status: "failed", error_code: "unreadable", error_message: String(error) };
      }
      await call(`jobs/${job.id}/report`, { token, items: [item] });
    }
    await call(`jobs/${job.id}/complete`, { token, result: { bytes } });
  }
}
END
node nightly.mts
"""
_BASH: Final = """\
cd "$(mktemp -d)"
cat > nightly.sh <<'END'
api() {
  curl -sSf "$JOBTRACK_URL/v1/$1" -d "$2" \\
    -H "Authorization: Bearer $JOBTRACK_API_KEY" -H "Content-Type: application/json"
}
job() {
  python3 -c 'import json, sys
for job in json.loads(sys.argv[1])["jobs"]:
  print(job["id"], job["lease"]["token"], *(job["payload"] or {}).get("files", []))' "$1"
}
CLAIM='{"worker": "'$(hostname):$$'", "types": ["nightly"], "lease_seconds": 3600, "wait": 20}'
while true; do
  CLAIMED=$(api claims "$CLAIM") || { sleep 2; continue; }
  read -r JOB TOKEN FILES < <(job "$CLAIMED") || { sleep 1; continue; }
  BYTES=0
  for FILE in $FILES; do
    if SIZE=$(wc -c 2>/dev/null <"$FILE"); then
      ITEM='"status": "completed"' BYTES=$((BYTES + SIZE))
    else
      ITEM='"status": "failed", "error_code": "unreadable"'
    fi
    api "jobs/$JOB/report" '{"token": "'$TOKEN'", "items": [{"key": "'$FILE'", '"$ITEM"'}]}' >/dev/null
  done
  api "jobs/$JOB/complete" '{"token": "'$TOKEN'", "result": {"bytes": '$BYTES'}}' >/dev/null
done
END
bash nightly.sh
"""
CREATE: Final = """\
curl -sS "$JOBTRACK_URL/v1/jobs" -H "Authorization: Bearer $JOBTRACK_API_KEY" -H "Content-Type: application/json" \\
  -d '{"type": "nightly", "payload": {"files": ["/etc/hosts", "/etc/nowhere.txt"]}}'
"""


@dataclass(frozen=True, slots=True)
class WorkerText:
    """A worker in one language."""

    id: str
    language: str
    needs: str
    text: str


def exports(address: str, key: str = NO_KEY) -> str:
    """Write what both shells need: where the service is, and the key."""
    return f"export JOBTRACK_URL={shlex.quote(address)}\nexport JOBTRACK_API_KEY={shlex.quote(key)}"


WORKERS: Final[Sequence[WorkerText]] = (
    WorkerText("python", "Python", "Python 3.11 or newer and curl", _PYTHON),
    WorkerText("typescript", "TypeScript", "Node.js 22.18 or newer, Deno or Bun", _TYPESCRIPT),
    WorkerText("bash", "bash", "bash, curl and python3", _BASH),
)
"""The worker in each language."""
