-- SPDX-License-Identifier: Apache-2.0
--
-- What a snapshot has for server names: certificates, and what clients are asked for. Each is
-- loaded once and kept while a model has it.
local C = require("moongate.api.core")

local M = {}

local ENDLESS = 2 ^ 53

---@class moongate.Secure
local Secure = {}
Secure.__index = Secure

---@param options moongate.WriterOptions
---@return moongate.Secure
function M.new(options)
  return setmetatable({
    certificates = { load = options.certificate, free = options.certificate_free, known = {} },
    drafted = {}, -- what the last draft got: {source, names, certificate}
    client_auths = { load = options.client_auth, free = options.client_auth_free, known = {} },
    suites = { load = options.suites, free = options.suites_free, known = {} },
  }, Secure)
end

local function check(result)
  if result < 0 then
    error("out of memory while a snapshot is built", 0)
  end
end

-- key -> { object, err }, of `set`; each key that is asked for is noted in `used`.
local function find(set, key, entry, used)
  local known = set.known[key]
  if not known then
    local object, err = set.load(entry)
    known = { object = object, err = err }
    set.known[key] = known
  end
  used[key] = true
  return known.object, known.err
end

local function sweep(set, used)
  for key, known in pairs(set.known) do
    if not used[key] then
      set.known[key] = nil
      if known.object then
        set.free(known.object)
      end
    end
  end
end

local function complain(faults, entry, field, message, severity)
  faults[#faults + 1] = { severity = severity or "error", object = entry.source, field = field,
    message = message }
end

local function key_of(entry)
  return ("%d:%s%s"):format(#entry.certificate, entry.certificate, entry.key)
end

--- Why a certificate cannot be had, or nil. It is kept until the next draft, which may want it.
---@param entry { certificate: string, key: string }
---@return string?
function Secure:why_not_loaded(entry)
  local certificate, err = find(self.certificates, key_of(entry), entry, {})
  return not certificate and err or nil
end

local function draft_certificates(self, draft, model, faults)
  local used = {}
  self.drafted = {}
  local function put(entry, names)
    local certificate, err = find(self.certificates, key_of(entry), entry, used)
    if not certificate then
      complain(faults, entry, "tls", err .. "; names of this certificate get the default one")
      return
    end
    if err then
      complain(faults, entry, "tls", err .. "; the certificate is served without it", "warning")
    end
    for _, name in ipairs(names) do
      check(C.mg_draft_certificate(draft, name, #name, certificate))
    end
    table.insert(self.drafted, { source = entry.source, names = names, certificate = certificate })
  end
  -- The first entry of a name is the one that counts, while a draft keeps the last.
  local certificates = model.certificates or {}
  for i = #certificates, 1, -1 do
    put(certificates[i], certificates[i].names)
  end
  if model.default_certificate then
    put(model.default_certificate, { "" })
  end
  sweep(self.certificates, used)
end

-- Where it cannot be had nobody is asked, and the plugin that judges requests lets nobody in.
local function draft_client_auths(self, draft, model, faults)
  local used = {}
  for _, entry in ipairs(model.client_auths or {}) do
    local key = ("%s\0%d\0%s"):format(entry.any and "any" or "", entry.depth, entry.ca)
    local auth, err = find(self.client_auths, key, entry, used)
    for _, name in ipairs(auth and entry.names or {}) do
      check(C.mg_draft_client_auth(draft, name, #name, auth))
    end
    if err then
      complain(faults, entry, "ca.crt", err .. "; no client can show a certificate")
    end
  end
  sweep(self.client_auths, used)
end

local function draft_suites(self, draft, model)
  local used = {}
  for _, entry in ipairs(model.suites or {}) do
    local key = (entry.client_order and "client:" or "ours:") .. entry.ciphers
    local suites = find(self.suites, key, entry, used)
    for _, name in ipairs(entry.names) do
      check(C.mg_draft_suites(draft, name, #name, suites))
    end
  end
  sweep(self.suites, used)
end

--- Puts into a draft what the model has.
---@param draft ffi.cdata*
---@param model table
---@param faults table[]
function Secure:draft(draft, model, faults)
  draft_certificates(self, draft, model, faults)
  draft_client_auths(self, draft, model, faults)
  draft_suites(self, draft, model)
end

-- A response that does not say when it ends has no end that is known.
local function response_end(certificate)
  local ends = tonumber(C.mg_certificate_response_until(certificate))
  return ends > 0 and ends < ENDLESS and ends or nil
end

---@class moongate.CertificateEnd
---@field source string
---@field names string[]
---@field ends number  seconds since 1970
---@field response_ends number?  of the OCSP response that is sent along
---@field certificate ffi.cdata*  borrowed until the next draft

--- The certificates of the last draft.
---@return moongate.CertificateEnd[]
function Secure:list()
  local list = {}
  for i, one in ipairs(self.drafted) do
    list[i] = { source = one.source, names = one.names,
      ends = tonumber(C.mg_certificate_not_after(one.certificate)),
      response_ends = response_end(one.certificate), certificate = one.certificate }
  end
  return list
end

--- Lets go of everything; snapshots keep theirs.
function Secure:close()
  self.drafted = {}
  sweep(self.certificates, {})
  sweep(self.client_auths, {})
  sweep(self.suites, {})
end

return M
