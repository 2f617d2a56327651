-- Sends the requests of a file in turn, so that every id is asked for as often as any other, and tells what wrk saw.
-- A line: method, path, one header's name and value (may be empty), body (may be empty), separated by tabs.
-- The first line is the value of the Authorization header.

local requests, turn = {}, 0

function init(args)
  local authorization
  for line in io.lines(args[1]) do
    if not authorization then
      authorization = line
    else
      local method, path, name, value, body = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t(.*)$")
      local headers = { ["Authorization"] = authorization }
      if name ~= "" then headers[name] = value end
      if body ~= "" then headers["Content-Type"] = "application/json" else body = nil end
      requests[#requests + 1] = wrk.format(method, path, headers, body)
    end
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"answers": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
