-- SPDX-License-Identifier: Apache-2.0
--
-- A request as a span, and spans as a message of OTLP: opentelemetry/proto/trace/v1/trace.proto and
-- its neighbours, whose numbers of fields these are.
local mg = require("moongate")

local pb = mg.protobuf

local M = {}

local TEXT_MAX = 1024 -- of an attribute and of a name, in bytes
local SERVER, ERROR = 2, 2
local SAMPLED, PARENT_KNOWN, PARENT_REMOTE = 0x01, 0x100, 0x200

local put_varint = pb.put_varint
-- Nothing waits between the first field of a span and its last.
local out, whole = pb.buffer(), pb.buffer()

-- --- attributes ----------------------------------------------------------------

-- KeyValue: key 1, value 2; AnyValue: string 1, integer 3.
local KEY, VALUE, STRING, INTEGER = 1, 2, 1, 3
local STRING_TAG, INTEGER_TAG = pb.tag(STRING, pb.BYTES), pb.tag(INTEGER, pb.VARINT)

local function attribute(name, value)
  return pb.bytes(KEY, name) .. pb.bytes(VALUE, pb.bytes(STRING, pb.text(value, TEXT_MAX)))
end

-- Of a varint up to 2^21.
local function size(number)
  return number < 128 and 1 or number < 16384 and 2 or 3
end

-- Span
local TRACE_ID, SPAN_ID, TRACE_STATE, PARENT_ID, NAME, KIND, START, END, ATTRIBUTES, STATUS, FLAGS =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16
local ATTRIBUTE_TAG = pb.tag(ATTRIBUTES, pb.BYTES)

-- What stands before the value of an attribute.
local function head(name)
  return pb.bytes(KEY, name) .. pb.tag(VALUE, pb.BYTES)
end

-- In the words of the semantic conventions for HTTP, and of those for Kubernetes.
local METHOD, METHOD_GIVEN = head("http.request.method"), head("http.request.method_original")
local SCHEME, PATH, QUERY = head("url.scheme"), head("url.path"), head("url.query")
local ROUTE, ERROR_TYPE = head("http.route"), head("error.type")
local HOST, USER_AGENT = head("server.address"), head("user_agent.original")
local CLIENT, PEER = head("client.address"), head("network.peer.address")
local VERSION = head("network.protocol.version")
local NAMESPACE, INGRESS = head("k8s.namespace.name"), head("k8s.ingress.name")
local SERVICE = head("k8s.service.name")
local HTTP = pb.bytes(ATTRIBUTES, attribute("network.protocol.name", "http"))
local STATUS_CODE = head("http.response.status_code")
local HOST_PORT, CLIENT_PORT = head("server.port"), head("client.port")

-- A text that is known.
local function put(name, value)
  if not value or value == "" then
    return
  end
  value = pb.text(value, TEXT_MAX)
  local length = #value
  local any = 1 + size(length) + length
  out:put(ATTRIBUTE_TAG)
  put_varint(out, #name + size(any) + any)
  out:put(name)
  put_varint(out, any)
  out:put(STRING_TAG)
  put_varint(out, length)
  out:put(value)
end

local function put_number(name, value)
  if not value or value <= 0 then
    return
  end
  local any = 1 + size(value)
  out:put(ATTRIBUTE_TAG)
  put_varint(out, #name + 1 + any)
  out:put(name)
  put_varint(out, any)
  out:put(INTEGER_TAG)
  put_varint(out, value)
end

local METHODS = {}
for _, method in ipairs({ "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT",
  "TRACE" }) do
  METHODS[method] = true
end
local OTHER_METHOD = "_OTHER"

local function port_of(request)
  local host, authority = request.host or "", request.authority or ""
  return #authority > #host and authority:byte(#host + 1) == 58
    and tonumber(authority:sub(#host + 2)) or nil
end

local function put_request(request, method, with_query)
  put(METHOD, METHODS[method] and method or OTHER_METHOD)
  put(METHOD_GIVEN, not METHODS[method] and method or nil)
  put(SCHEME, request.scheme)
  put(PATH, request.raw_path)
  put(QUERY, with_query and request.query_string or nil)
  put(HOST, request.host)
  put_number(HOST_PORT, port_of(request))
  put(VERSION, request.http_version)
  put(USER_AGENT, request:header("user-agent"))
  out:put(HTTP)
end

local function put_client(client)
  put(CLIENT, client.ip)
  put_number(CLIENT_PORT, client.port)
  put(PEER, client.peer_ip)
end

local function put_route(ctx, route)
  put(ROUTE, route)
  put(NAMESPACE, ctx:var("namespace"))
  put(INGRESS, ctx:var("ingress_name"))
  put(SERVICE, ctx:var("service_name"))
end

local FAILED = pb.bytes(STATUS, pb.number(3, ERROR)) -- Status: code 3

local function put_response(response)
  local status = response.status
  put_number(STATUS_CODE, status)
  if status >= 500 then
    put(ERROR_TYPE, response.source == "gateway" and response.error or tostring(status))
    out:put(FAILED)
  end
end

-- --- a span --------------------------------------------------------------------

local KIND_FIELD = pb.number(KIND, SERVER)
local ROOT_FLAGS = pb.fixed32(FLAGS, SAMPLED + PARENT_KNOWN)
local CHILD_FLAGS = pb.fixed32(FLAGS, SAMPLED + PARENT_KNOWN + PARENT_REMOTE)

-- A double has 53 bits, and nanoseconds since 1970 need 61: a thousand of them are one step.
local function nanoseconds(seconds)
  return math.floor(seconds * 1e6) * 1000
end

-- By the route and not by the path, so that there are few names.
local function name_of(ctx, template, method, route)
  local name = template and ctx:template(template) or ""
  if name ~= "" then
    return pb.text(name, TEXT_MAX)
  end
  method = METHODS[method] and method or "HTTP"
  return pb.text(route ~= "" and method .. " " .. route or method, TEXT_MAX)
end

local TRACE_HEAD = pb.tag(TRACE_ID, pb.BYTES) .. pb.varint(16)
local SPAN_HEAD = pb.tag(SPAN_ID, pb.BYTES) .. pb.varint(8)
local PARENT_HEAD = pb.tag(PARENT_ID, pb.BYTES) .. pb.varint(8)

local function put_trace(trace)
  out:put(TRACE_HEAD, trace.trace, SPAN_HEAD, trace.span)
  if trace.parent then
    out:put(PARENT_HEAD, trace.parent, CHILD_FLAGS)
  else
    out:put(ROOT_FLAGS)
  end
  if trace.state then
    out:put(pb.bytes(TRACE_STATE, trace.state))
  end
end

local NAME_TAG = pb.tag(NAME, pb.BYTES)
local START_TAG, END_TAG = pb.tag(START, pb.FIXED64), pb.tag(END, pb.FIXED64)

local function put_name(name)
  out:put(NAME_TAG)
  put_varint(out, #name)
  out:put(name, KIND_FIELD)
end

local function put_times(began, seconds)
  out:put(START_TAG)
  pb.put_fixed64(out, nanoseconds(began))
  out:put(END_TAG)
  pb.put_fixed64(out, nanoseconds(began + seconds))
end

local SPANS_TAG = pb.tag(2, pb.BYTES) -- of ScopeSpans

--- A request that is over, as a field of a message of `M.request`.
---@param ctx moongate.Ctx
---@param trace { trace: string, span: string, parent: string?, state: string? }
---@param conf { operation_name: table?, query: boolean }
---@return string bytes
function M.encode(ctx, trace, conf)
  local request = ctx.request
  local method, route = request.method, ctx:var("location_path")
  out:reset()
  put_trace(trace)
  put_name(name_of(ctx, conf.operation_name, method, route))
  put_times(request.start_time, ctx.timings.total)
  put_request(request, method, conf.query)
  put_client(ctx.client)
  put_route(ctx, route)
  put_response(ctx.response)
  whole:reset()
  whole:put(SPANS_TAG)
  put_varint(whole, #out)
  return whole:put(out):get()
end

-- --- a message -----------------------------------------------------------------

-- ExportTraceServiceRequest: resource_spans 1; ResourceSpans: resource 1, scope_spans 2; Resource:
-- attributes 1; ScopeSpans: scope 1; InstrumentationScope: name 1.
local SCOPE = pb.bytes(1, pb.bytes(1, "moongate"))

--- What all spans of one sender have in common.
---@param attributes table<string, string>
---@return string bytes
function M.resource(attributes)
  local names, fields = {}, {}
  for name in pairs(attributes) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    fields[i] = pb.bytes(1, attribute(pb.text(name, TEXT_MAX), attributes[name]))
  end
  return pb.bytes(1, table.concat(fields))
end

--- The message that hands spans over.
---@param resource string  of `M.resource`
---@param spans string[]   of `M.encode`
---@return string bytes
function M.request(resource, spans)
  return pb.bytes(1, resource .. pb.bytes(2, SCOPE .. table.concat(spans)))
end

return M
