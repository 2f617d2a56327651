// A worker on openapi-generator's typescript-fetch client: claim a job, report on its items, complete it.
import { ok, strictEqual as equal } from "node:assert";
import { Configuration, ItemStatus, WorkersApi } from "./api";

const { API_URL, API_KEY, QUEUE = "" } = process.env;
const workers = new WorkersApi(new Configuration({ basePath: API_URL, accessToken: API_KEY }));

async function main(): Promise<void> {
  const claimed = await workers.claimsCreate({ claimsIn: { worker: "sdk", queues: [QUEUE], wait: 50 } });
  const job = claimed.jobs[0];
  ok(job !== undefined);
  const { to } = job.payload as { to: number };
  const numbers = Array.from({ length: to }, (_, index) => index + 1);
  const items = numbers.map((number) => ({ key: `${number}`, status: ItemStatus.Completed }));

  const token = job.lease.token;
  const reportIn = { token, stage: "counting", progress: 50, items, itemsTotal: to };
  const reported = await workers.jobsReport({ jobId: job.id, reportIn });
  equal(reported.status, "running");

  const sum = numbers.reduce((total, number) => total + number, 0);
  const ended = await workers.jobsComplete({ jobId: job.id, completeIn: { token, result: { sum } } });
  equal(ended.status, "completed");
}

void main();
