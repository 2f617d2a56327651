// A producer on the client of @hey-api/openapi-ts: create a job, wait until it has ended, read it.
import { ok, strictEqual as equal, deepStrictEqual as same } from "node:assert";
import { client } from "./api/client.gen";
import { jobsCreate, jobsGet, jobsWait } from "./api";

const { API_URL, API_KEY, QUEUE = "" } = process.env;
client.setConfig({ baseUrl: API_URL, auth: API_KEY });

async function main(): Promise<void> {
  const body = { type: "count", queue: QUEUE, payload: { to: 3 }, labels: { "made-by": "sdk" } };
  const headers = { "Idempotency-Key": QUEUE };
  const { data: created } = await jobsCreate({ body, headers, throwOnError: true });
  const { data: again, response } = await jobsCreate({ body, headers, throwOnError: true });
  equal(again.id, created.id);
  equal(response.headers.get("Idempotency-Replayed"), "true");

  const { data: waited } = await jobsWait({ body: { ids: [created.id], wait: 50 }, throwOnError: true });
  same(waited.not_found, []);
  same(waited.jobs.map((job) => job.status), ["completed"]);

  const { data: job } = await jobsGet({ path: { job_id: created.id }, throwOnError: true });
  same(job.result, { sum: 6 });
  equal(job.counts.processed, 3);
  ok(job.completed_at !== null && job.completed_at >= job.created_at);

  const unknown = await jobsGet({ path: { job_id: "0192f0c1-2f6e-7c3a-9d51-2b7a3f1c9e10" } });
  equal(unknown.error?.code, "not_found");
}

void main();
