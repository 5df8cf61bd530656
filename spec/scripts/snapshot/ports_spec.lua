-- SPDX-License-Identifier: Apache-2.0
local ffi = require("ffi")

local core = require("spec.support.core")
local traffic = require("spec.support.traffic")

core.cdef({ "control/snapshot.h", "net/port.h", "base/err.h" })
local C = traffic.C

ffi.cdef("int close(int fd);")

local STREAM, DGRAM = 1, 2
local TYPES = { tcp = STREAM, udp = DGRAM }
local WORKERS = 2

describe("ports of TCP and UDP services in a snapshot", function()
  local writer, opened, refused

  -- Binds a port of the kernel's choice, whatever number the model has.
  local function open(entry, closing)
    if refused[entry.port] then
      return nil, "somebody has it"
    end
    local out = ffi.new("struct mg_port *[1]")
    assert(C.port_new(out, TYPES[entry.protocol], 0, WORKERS, 0) == 0)
    opened[#opened + 1] = { port = out[0], number = entry.port, closing = closing ~= nil }
    return out[0]
  end

  before_each(function()
    opened, refused = {}, {}
    writer = traffic.writer({ port = open })
  end)

  after_each(function()
    writer:close()
  end)

  local function build(ports)
    local snapshot, faults = writer:build({
      services = { one = { endpoints = {} }, two = { endpoints = {} } },
      ports = ports,
    }, 1)
    ffi.gc(snapshot, C.mg_snapshot_unref)
    return snapshot, faults
  end

  local function entry(protocol, number, options)
    options = options or {}
    return { protocol = protocol, port = number, service = options.service or "one",
      decode = options.decode, encode = options.encode,
      source = { kind = "ConfigMap", namespace = "n", name = "c", field = "data.x" } }
  end

  local function all_of(snapshot)
    local count = ffi.new("uint32_t[1]")
    local items = C.snapshot_ports(snapshot, count)
    local list = {}
    for i = 0, count[0] - 1 do
      list[i + 1] = items[i]
    end
    return list
  end

  it("are there with the service and the PROXY headers", function()
    local snapshot = build({ entry("tcp", 1), entry("tcp", 2, { decode = true }),
      entry("tcp", 3, { encode = true }), entry("udp", 1, { service = "two" }) })
    local proxy, services = {}, {}
    for _, item in ipairs(all_of(snapshot)) do
      for _, one in ipairs(opened) do
        if one.port == item.port then
          proxy[one.number .. C.port_type(item.port)] = tonumber(item.proxy)
          services[tonumber(item.service)] = true
        end
      end
    end
    assert.same({ ["11"] = 0, ["21"] = 1, ["31"] = 2, ["12"] = 0 }, proxy)
    assert.is_true(services[0] and services[1])
  end)

  it("are in order, and found by type and number", function()
    local entries = {}
    for i = 1, 9 do
      entries[i] = entry(i % 3 == 0 and "udp" or "tcp", i)
    end
    local snapshot = build(entries)
    local last = -1
    for _, item in ipairs(all_of(snapshot)) do
      local kind, number = C.port_type(item.port), C.port_number(item.port)
      local place = kind * 65536 + number
      assert.is_true(place > last)
      last = place
      assert.equal(item.port, C.snapshot_port(snapshot, kind, number).port)
    end
    assert.is_true(C.snapshot_port(snapshot, STREAM, 0) == nil)
    assert.is_true(C.snapshot_port(build({}), STREAM, 1) == nil)
  end)

  it("stay open while a model has them, whatever service that is", function()
    build({ entry("tcp", 1) })
    build({ entry("tcp", 1, { service = "two", decode = true }) })
    assert.equal(1, #opened)
    build({})
    build({ entry("tcp", 1) })
    assert.equal(2, #opened)
  end)

  it("are closed at once where no worker has taken them", function()
    build({ entry("tcp", 1) })
    assert.equal(0, C.port_users(opened[1].port))
    build({})
    -- Its memory is the last snapshot's that had it, its sockets are not.
    build({ entry("tcp", 1) })
    assert.is_false(opened[2].closing)
  end)

  it("are told to be closing while a worker has one", function()
    local first = build({ entry("tcp", 1) })
    local port = all_of(first)[1].port
    local fd = C.port_take(port, 0)
    assert.is_true(fd >= 0)
    assert.equal(-1, C.port_take(port, 0))
    assert.equal(1, C.port_users(port))
    build({})
    assert.equal(-1, C.port_take(port, 1)) -- nobody takes what is withdrawn
    build({ entry("tcp", 1) })
    assert.is_true(opened[2].closing)
    ffi.C.close(fd)
    C.port_leave(port)
    build({})
    build({ entry("tcp", 1) })
    assert.is_false(opened[3].closing)
  end)

  it("are a fault of their entry where they cannot be opened, until they can", function()
    refused[2] = true
    local snapshot, faults = build({ entry("tcp", 1), entry("tcp", 2) })
    assert.equal(1, #all_of(snapshot))
    assert.equal("ConfigMap n/c", faults[1].object)
    assert.equal("data.x", faults[1].field)
    assert.matches("port 2 of TCP cannot be opened: somebody has it", faults[1].message, 1, true)
    assert.is_false(writer.ports:retry())
    refused[2] = nil
    assert.is_true(writer.ports:retry())
    assert.is_false(writer.ports:retry())
    snapshot, faults = build({ entry("tcp", 1), entry("tcp", 2) })
    assert.equal(2, #all_of(snapshot))
    assert.same({}, faults)
  end)

  it("are not looked at where nobody can open any", function()
    local judge = traffic.writer({})
    local snapshot, faults = judge:build({ services = { one = { endpoints = {} } },
      ports = { entry("tcp", 1) } }, 1)
    assert.same({}, faults)
    C.mg_snapshot_unref(snapshot)
    judge:close()
  end)
end)
