// A worker on the client of @hey-api/openapi-ts: claim a job, report on its items, complete it.
import { ok, strictEqual as equal } from "node:assert";
import { client } from "./api/client.gen";
import { claimsCreate, jobsComplete, jobsReport, type ItemUpdateIn } from "./api";

const { API_URL, API_KEY, QUEUE = "" } = process.env;
client.setConfig({ baseUrl: API_URL, auth: API_KEY });

async function main(): Promise<void> {
  const claim = { worker: "sdk", queues: [QUEUE], wait: 50 };
  const { data: claimed } = await claimsCreate({ body: claim, throwOnError: true });
  const job = claimed.jobs[0];
  ok(job !== undefined);
  const { to } = job.payload as { to: number };
  const numbers = Array.from({ length: to }, (_, index) => index + 1);
  const items = numbers.map((number): ItemUpdateIn => ({ key: `${number}`, status: "completed" }));

  const path = { job_id: job.id };
  const token = job.lease.token;
  const { data: reported } = await jobsReport({
    path,
    body: { token, stage: "counting", progress: 50, items, items_total: to, logs: [{ message: "counted" }] },
    throwOnError: true,
  });
  equal(reported.status, "running");
  equal(reported.cancel_requested, false);

  const sum = numbers.reduce((total, number) => total + number, 0);
  const { data: ended } = await jobsComplete({ path, body: { token, result: { sum } }, throwOnError: true });
  equal(ended.status, "completed");
}

void main();
