// A producer on the types of openapi-typescript: create a job, wait until it has ended, read it.
import { ok, strictEqual as equal, deepStrictEqual as same } from "node:assert";
import createClient from "openapi-fetch";
import type { paths } from "./api";

const { API_URL, API_KEY, QUEUE = "" } = process.env;
const api = createClient<paths>({ baseUrl: API_URL, headers: { Authorization: `Bearer ${API_KEY}` } });

async function main(): Promise<void> {
  const created = await api.POST("/v1/jobs", {
    params: { header: { "Idempotency-Key": QUEUE } },
    body: { type: "count", queue: QUEUE, payload: { to: 3 } },
  });
  ok(created.data, created.error?.detail);
  const id = created.data.id;

  const waited = await api.POST("/v1/jobs/wait", { body: { ids: [id], wait: 50 } });
  ok(waited.data, waited.error?.detail);
  same(waited.data.jobs.map((job) => job.status), ["completed"]);

  const read = await api.GET("/v1/jobs/{job_id}", { params: { path: { job_id: id } } });
  ok(read.data, read.error?.detail);
  same(read.data.result, { sum: 6 });
  equal(read.data.counts.processed, 3);

  const unknown = await api.GET("/v1/jobs/{job_id}", {
    params: { path: { job_id: "0192f0c1-2f6e-7c3a-9d51-2b7a3f1c9e10" } },
  });
  equal(unknown.error?.code, "not_found");
}

void main();
