// What Jobtrack adds to Swagger UI. The examples of a document tell of one job; once a call has made a real one, its id
// and its lease's token stand wherever the page shows those of the examples. And no stream can be executed: its answer
// has no end, and the page would show none of it.
window.JobtrackPlugin = () => {
  const METHODS = ["get", "put", "post", "delete", "patch"];
  const ID = /(^|_)(id|token)$/;
  // Ids of the examples, and what the page shows in their place by now.
  const shown = new Map();

  const exampleOfSchema = (document, schema) => {
    if (!schema) return undefined;
    if (schema.examples) return schema.examples[0];
    if (schema.$ref) return exampleOfSchema(document, document.components.schemas[schema.$ref.split("/").pop()]);
    return exampleOfSchema(document, schema.anyOf?.find((form) => form.type !== "null"));
  };

  const exampleOf = (document, content) =>
    content?.example ?? Object.values(content?.examples ?? {})[0]?.value ?? exampleOfSchema(document, content?.schema);

  // Collects the ids of an example, each with the one that an answer has in its place.
  const pair = (example, actual, name, found) => {
    if (typeof example === "string") {
      if (typeof actual === "string" && ID.test(name) && !found.has(example)) found.set(example, actual);
    } else if (example && actual && typeof actual === "object") {
      for (const key of Object.keys(example)) {
        pair(example[key], actual[key], Array.isArray(example) ? name : key, found);
      }
    }
    return found;
  };

  const replaceParameter = (system, pathMethod, parameter, old, fresh) => {
    const { specActions, specSelectors } = system;
    const same = (other) => other.get("name") === parameter.name && other.get("in") === parameter.in;
    // An operation that has been opened knows its parameters by their content, any other by name.
    const opened = specSelectors.specResolvedSubtree(["paths", ...pathMethod])?.get("parameters")?.find(same);
    const raw = specSelectors.specJson().getIn(["paths", ...pathMethod, "parameters"]).find(same);
    const value = specSelectors.parameterWithMetaByIdentity(pathMethod, opened ?? raw)?.get("value");
    // What somebody has written stays.
    if ((value ?? parameter.example) !== old) return;
    if (opened) specActions.changeParamByIdentity(pathMethod, opened, fresh);
    else specActions.changeParam(pathMethod, parameter.name, parameter.in, fresh);
  };

  const replaceInBody = (system, pathMethod, example, old, fresh) => {
    const body = system.oas3Selectors.requestBodyValue(...pathMethod) ?? JSON.stringify(example, null, 2);
    if (typeof body !== "string" || !body.includes(old)) return;
    system.oas3Actions.setRequestBodyValue({ pathMethod, value: body.replaceAll(old, fresh) });
    // An operation that is opened for the first time would otherwise begin with its example.
    system.oas3Actions.setRetainRequestBodyValueFlag({ pathMethod, value: true });
  };

  const replaceEverywhere = (system, document, old, fresh) => {
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const method of METHODS.filter((each) => each in operations)) {
        const { parameters = [], requestBody } = operations[method];
        for (const parameter of parameters.filter((each) => each.in === "path")) {
          replaceParameter(system, [path, method], parameter, old, fresh);
        }
        const content = requestBody?.content?.["application/json"];
        if (content) replaceInBody(system, [path, method], exampleOf(document, content), old, fresh);
      }
    }
  };

  const adopt = (system, path, method, response) => {
    const document = system.specSelectors.specJson().toJS();
    const content = document.paths[path][method].responses[response.status]?.content?.["application/json"];
    const request = system.specSelectors.requestFor(path, method)?.toJS() ?? {};
    const sent = `${request.url} ${request.body}`;
    for (const [example, actual] of pair(exampleOf(document, content), response.body, "", new Map())) {
      const old = shown.get(example) ?? example;
      // What the call was asked about is nothing that it has made.
      if (actual === old || sent.includes(actual)) continue;
      shown.set(example, actual);
      replaceEverywhere(system, document, old, actual);
    }
  };

  return {
    statePlugins: {
      spec: {
        wrapSelectors: {
          allowTryItOutFor: (original, system) => (state, path, method) => {
            const answer = ["paths", path, method, "responses", "200", "content", "text/event-stream"];
            return !system.specSelectors.specJson().hasIn(answer) && original(state, path, method);
          },
        },
        wrapActions: {
          setResponse: (original, system) => (path, method, response) => {
            const result = original(path, method, response);
            // A list shows what others have made, and Execute may delete what the page shows.
            if (method === "post" && response.ok) adopt(system, path, method, response);
            return result;
          },
        },
      },
    },
  };
};
