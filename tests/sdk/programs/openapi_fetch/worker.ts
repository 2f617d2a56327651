// A worker on the types of openapi-typescript: claim a job, report on its items, complete it.
import { ok, strictEqual as equal } from "node:assert";
import createClient from "openapi-fetch";
import type { components, paths } from "./api";

const { API_URL, API_KEY, QUEUE = "" } = process.env;
const api = createClient<paths>({ baseUrl: API_URL, headers: { Authorization: `Bearer ${API_KEY}` } });

async function main(): Promise<void> {
  const claimed = await api.POST("/v1/claims", { body: { worker: "sdk", queues: [QUEUE], wait: 50 } });
  ok(claimed.data, claimed.error?.detail);
  const job = claimed.data.jobs[0];
  ok(job !== undefined);
  const { to } = job.payload as { to: number };
  const numbers = Array.from({ length: to }, (_, index) => index + 1);
  const items = numbers.map(
    (number): components["schemas"]["ItemUpdateIn"] => ({ key: `${number}`, status: "completed" }),
  );

  const params = { path: { job_id: job.id } };
  const token = job.lease.token;
  const reported = await api.POST("/v1/jobs/{job_id}/report", {
    params,
    body: { token, stage: "counting", progress: 50, items, items_total: to },
  });
  ok(reported.data, reported.error?.detail);
  equal(reported.data.status, "running");

  const sum = numbers.reduce((total, number) => total + number, 0);
  const ended = await api.POST("/v1/jobs/{job_id}/complete", { params, body: { token, result: { sum } } });
  ok(ended.data, ended.error?.detail);
  equal(ended.data.status, "completed");
}

void main();
