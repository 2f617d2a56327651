// A producer on openapi-generator's typescript-fetch client: create a job, wait until it has ended, read it.
import { ok, strictEqual as equal, deepStrictEqual as same } from "node:assert";
import { Configuration, JobsApi, ResponseError } from "./api";

const { API_URL, API_KEY, QUEUE = "" } = process.env;
const jobs = new JobsApi(new Configuration({ basePath: API_URL, accessToken: API_KEY }));

async function main(): Promise<void> {
  const jobIn = { type: "count", queue: QUEUE, payload: { to: 3 } };
  const created = await jobs.jobsCreate({ jobIn, idempotencyKey: QUEUE });
  equal((await jobs.jobsCreate({ jobIn, idempotencyKey: QUEUE })).id, created.id);

  const waited = await jobs.jobsWait({ waitIn: { ids: [created.id], wait: 50 } });
  same(waited.jobs.map((job) => job.status), ["completed"]);

  const job = await jobs.jobsGet({ jobId: created.id });
  same(job.result, { sum: 6 });
  equal(job.counts.processed, 3);
  ok(job.completedAt !== null && job.completedAt >= job.createdAt);

  const unknown = jobs.jobsGet({ jobId: "0192f0c1-2f6e-7c3a-9d51-2b7a3f1c9e10" });
  const error: unknown = await unknown.then(() => null, (reason: unknown) => reason);
  ok(error instanceof ResponseError);
  equal(error.response.status, 404);
}

void main();
