// Generates TypeScript clients from the documents named on the command line, into types/NAME/api.ts (openapi-typescript)
// and sdk/NAME/api (@hey-api/openapi-ts), with their default options.
import { mkdirSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";
import { createClient } from "@hey-api/openapi-ts";
import openapiTS, { astToString } from "openapi-typescript";

for (const document of process.argv.slice(2)) {
  const name = basename(document, ".json");
  mkdirSync(`types/${name}`, { recursive: true });
  writeFileSync(`types/${name}/api.ts`, astToString(await openapiTS(pathToFileURL(document))));
  await createClient({ input: document, output: `sdk/${name}/api` });
}
