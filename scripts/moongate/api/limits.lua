-- SPDX-License-Identifier: Apache-2.0
--
-- What a limit counts under: the client's address, or a text with variables, within a scope. Shared
-- by plugins that count requests; how they count is their own.
local crypto = require("moongate.api.crypto")
local ip = require("moongate.api.ip")
local template = require("moongate.api.template")

local M = {}

local KEY_BYTES = 128
local WHOLE_V6_BYTES = 16

--- For the schema of such a plugin: what is counted.
function M.key_field(schema)
  return schema.template():default("$remote_addr")
    :description("what is counted: equal texts together")
end

--- For the schema of such a plugin: whether a key without text counts as one.
function M.empty_field(schema)
  return schema.boolean():default(true)
    :description("count requests whose key is empty together; else they are not counted")
end

--- For the schema of such a plugin: who is not.
function M.exempt_field(schema)
  return schema.array(schema.cidr()):description("networks and addresses without limit")
end

---@class moongate.Counted
---@field prefix string     of each key
---@field template table?   nil: the client's address
---@field empty boolean     whether an empty text counts
---@field v6_bytes integer  of an IPv6 address that count as one client
---@field exempt moongate.CidrSet?

--- Works out once what `key` needs.
---@param conf { key: table, count_empty: boolean, exempt: string[]? }  of the fields above
---@param scope string  what shares a count
---@param v6_bits integer?  of an IPv6 address that count as one client, a multiple of 8; else all
---@return moongate.Counted
function M.counted(conf, scope, v6_bits)
  local is_address = template.text(conf.key) == "${remote_addr}"
  return {
    prefix = scope .. "\0",
    template = not is_address and conf.key or nil,
    empty = conf.count_empty,
    v6_bytes = v6_bits and v6_bits / 8 or WHOLE_V6_BYTES,
    exempt = conf.exempt and ip.cidr_set(conf.exempt),
  }
end

local function of_address(counted, address)
  if counted.v6_bytes < WHOLE_V6_BYTES and address:find(":", 1, true) then
    local parsed = ip.parse(address)
    return parsed and parsed.bytes:sub(1, counted.v6_bytes) or address
  end
  return address
end

-- A client may make a key of a header as long as it likes.
local function of_text(text)
  return #text > KEY_BYTES and crypto.digest("SHA256", text) or text
end

--- What a request counts under; nil when the client is exempt, or there is nothing to count.
---@param ctx moongate.Ctx
---@param counted moongate.Counted
---@return string?
function M.key(ctx, counted)
  local address = ctx.client.ip
  if counted.exempt and counted.exempt:contains(address) then
    return nil
  end
  if not counted.template then
    return counted.prefix .. of_address(counted, address)
  end
  local text = of_text(ctx:template(counted.template))
  return (text ~= "" or counted.empty) and counted.prefix .. text or nil
end

return M
