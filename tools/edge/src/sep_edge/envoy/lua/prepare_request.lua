-- Prepares a REST request for the transcoder. It runs before the transcoder and parses nothing.
--
-- 1. Removes request headers that mean nothing here: gRPC aborts a call for a header that HTTP
--    allows, such as one with a # in its name.
-- 2. Names query parameters that are given twice in x-sep-twice. The transcoder would use the
--    last one without an error.
-- 3. Copies the body as received into x-sep-body-bin. The transcoder drops unknown fields, so the
--    service parses the body again and refuses them. The route limits the size of the body.
-- 4. Marks requests of web pages of another origin in x-sep-foreign: without keys (API_ACCESS=open)
--    a service refuses their writes.
-- 5. Server-sent events: makes Last-Event-ID the parameter last_event_id of /api/events, which wins
--    over one in the address, since a browser reconnects to the address that it began with. In the
--    response it writes the id of each event as the id of server-sent events too, before its data.
-- 6. Turns HEAD into GET for the service, and drops the body of the response.
local allowed = {
  ["authorization"] = true, ["content-type"] = true, ["content-length"] = true,
  ["transfer-encoding"] = true, ["te"] = true, ["user-agent"] = true, ["x-request-id"] = true,
  ["x-forwarded-for"] = true, ["x-forwarded-proto"] = true
}

-- Whether a web page of another origin sent this. Programs send neither header.
local function is_foreign(headers, known)
  local origin, site = headers:get("origin"), headers:get("sec-fetch-site")
  if origin then
    local host = origin:match("^https?://(.+)$")
    return not known[origin] and host ~= headers:get(":authority")
  end
  return site ~= nil and site ~= "same-origin" and site ~= "none"
end

-- The path with last_event_id as the client last saw it.
local function resumed(path, id)
  local base, query = path:match("^([^?]*)%??(.*)$")
  local parts = {}
  for part in query:gmatch("[^&]+") do
    if part:match("^[^=]*") ~= "last_event_id" then parts[#parts + 1] = part end
  end
  -- What is no number is refused by the service.
  parts[#parts + 1] = "last_event_id=" .. (id:find("^%d+$") and id or "malformed")
  return base .. "?" .. table.concat(parts, "&")
end

function envoy_on_request(handle)
  local headers, others = handle:headers(), {}
  if headers:get(":path"):match("^[^?]*") == "/api/events" then
    local last = headers:get("last-event-id")
    if last and last ~= "" then headers:replace(":path", resumed(headers:get(":path"), last)) end
    handle:streamInfo():dynamicMetadata():set("sep", "events", true)
  end
  local foreign = is_foreign(headers, handle:filterContext():get("origins") or {})
  for name, value in pairs(headers) do
    if name:sub(1, 1) ~= ":" and (not allowed[name] or value:find("[^\32-\126]")) then
      others[#others + 1] = name
    end
  end
  for _, name in ipairs(others) do headers:remove(name) end
  if foreign then headers:add("x-sep-foreign", "1") end
  if headers:get(":method") == "HEAD" then
    headers:replace(":method", "GET")
    handle:streamInfo():dynamicMetadata():set("sep", "head", true)
  end

  local seen, twice = {}, {}
  for part in (headers:get(":path"):match("%?(.*)") or ""):gmatch("[^&]+") do
    local name = part:match("^[^=]*"):gsub("%%(%x%x)", function(code)
      return string.char(tonumber(code, 16))
    end)
    if seen[name] and name:find("^[%w_]+$") then twice[#twice + 1] = name end
    seen[name] = true
  end
  if #twice > 0 then headers:add("x-sep-twice", table.concat(twice, ",")) end

  local body = handle:body()
  if body and body:length() > 0 then
    local raw = handle:base64Escape(body:getBytes(0, body:length()))
    handle:headers():add("x-sep-body-bin", raw)
  end
end

function envoy_on_response(handle)
  local marks = handle:streamInfo():dynamicMetadata():get("sep")
  if marks and marks["events"] and handle:headers():get(":status") == "200" and not marks["head"] then
    -- A line may end in a later piece of the body.
    local rest = ""
    for piece in handle:bodyChunks() do
      local text = rest .. (piece:length() > 0 and piece:getBytes(0, piece:length()) or "")
      local lines, tail = text:match("^(.*\n)([^\n]*)$")
      rest = tail or text
      piece:setBytes(((lines or ""):gsub('(data: {"event":{"id":"(%d+)")', "id: %2\n%1")))
    end
    return
  end
  if not (marks and marks["head"]) then return end
  local body = handle:body()
  local length = body and body:length() or 0
  if length > 0 then
    body:setBytes("")
    handle:headers():replace("content-length", tostring(length))
  end
end
