-- SPDX-License-Identifier: Apache-2.0
--
-- What is wrong with the settings of TLS towards clients: names of cipher suites and curves that
-- mean nothing here. They are left out; where nothing is left, all is as before.
local ffi = require("ffi")

local C = require("moongate.api.core")

local M = {}

local NAMES = {
  { setting = "ssl-ciphers", groups = 0, kind = "cipher suite" },
  { setting = "ssl-ecdh-curve", groups = 1, kind = "curve" },
}

local unknown = ffi.new("char[512]")

local function fault(setting, severity, message)
  return { severity = severity, object = "setting " .. setting, code = "setting",
    message = message }
end

-- Of hosts, by their Ingress. Where nothing is left TLS 1.2 has nothing to agree on.
local function check_hosts(model)
  for _, entry in ipairs(model.suites or {}) do
    local left = C.mg_tls_names(entry.ciphers, 0, unknown, ffi.sizeof(unknown))
    local text = ffi.string(unknown):gsub(" ", ", ")
    if entry.source and (left < 0 or text ~= "") then
      table.insert(model.faults, {
        severity = "warning", object = entry.source, field = "ssl-ciphers",
        code = "setting", annotation = "ssl-ciphers",
        message = left < 0 and "names no suite that is known here: clients of TLS 1.2 are refused"
          or ("holds what is no cipher suite here and is left out: %s"):format(text),
      })
    end
  end
end

--- Adds faults to a model.
---@param model table  with `typed_settings`
function M.check(model)
  check_hosts(model)
  for _, one in ipairs(NAMES) do
    local names = model.typed_settings[one.setting]
    local left = C.mg_tls_names(names, one.groups, unknown, ffi.sizeof(unknown))
    local text = ffi.string(unknown):gsub(" ", ", ")
    if left < 0 then
      table.insert(model.faults, fault(one.setting, "error",
        ("no %s that is known here is left; name one, or remove the setting"):format(one.kind)))
    elseif text ~= "" then
      table.insert(model.faults, fault(one.setting, "warning",
        ("holds what is no %s here and is left out: %s; remove it"):format(one.kind, text)))
    end
  end
end

return M
