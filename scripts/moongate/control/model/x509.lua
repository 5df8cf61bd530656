-- SPDX-License-Identifier: Apache-2.0
-- The names in a certificate: enough DER to find subjectAltName and the common name. Whether key
-- and certificate are sound is for the TLS library, which loads them.
local base64 = require("moongate.api.base64")

local M = {}

local SEQUENCE, SET, CONTEXT_3, DNS_NAME = 0x30, 0x31, 0xa3, 0x82
local OID_COMMON_NAME = "\85\4\3"
local OID_SUBJECT_ALT_NAME = "\85\29\17"

-- One element at `at`: its tag, where its content begins and ends. nil: not DER.
local function element(der, at)
  local tag, length = der:byte(at, at + 1)
  if not length then
    return nil
  end
  local first = at + 2
  if length >= 0x80 then
    local bytes = length - 0x80
    length = 0
    if bytes == 0 or bytes > 4 then
      return nil
    end
    for index = first, first + bytes - 1 do
      length = length * 256 + (der:byte(index) or 0)
    end
    first = first + bytes
  end
  local last = first + length - 1
  if last > #der then
    return nil
  end
  return tag, first, last
end

-- Iterates over the elements between two places.
local function elements(der, first, last)
  local at = first
  return function()
    if at > last then
      return nil
    end
    local tag, from, to = element(der, at)
    if not tag then
      return nil
    end
    at = to + 1
    return tag, from, to
  end
end

local function add_alternatives(der, first, last, names)
  local tag, from, to = element(der, first)
  if tag ~= SEQUENCE or to > last then
    return
  end
  for kind, a, b in elements(der, from, to) do
    if kind == DNS_NAME then
      names[#names + 1] = der:sub(a, b):lower()
    end
  end
end

-- Extension: SEQUENCE { oid, [critical], OCTET STRING }.
local function add_from_extensions(der, first, last, names)
  local _, from, to = element(der, first)
  for _, a, b in elements(der, from or last + 1, to or last) do
    local wanted, value
    for tag, x, y in elements(der, a, b) do
      if tag == 0x06 then
        wanted = der:sub(x, y) == OID_SUBJECT_ALT_NAME
      elseif tag == 0x04 then
        value = { x, y }
      end
    end
    if wanted and value then
      add_alternatives(der, value[1], value[2], names)
    end
  end
end

-- Name: SEQUENCE of SET of SEQUENCE { oid, text }.
local function common_name(der, first, last)
  local found
  for tag, from, to in elements(der, first, last) do
    local _, a, b = element(der, from)
    local _, x, y = element(der, a or to + 1)
    if tag == SET and x and der:sub(x, y) == OID_COMMON_NAME then
      local _, from_text, to_text = element(der, y + 1)
      found = from_text and to_text <= b and der:sub(from_text, to_text):lower() or found
    end
  end
  return found
end

local function names_in(der)
  local _, first = element(der, 1)
  local tag, from, to = element(der, first or #der + 1)
  if tag ~= SEQUENCE then
    return nil
  end
  local names, sequences, subject = {}, 0, nil
  for kind, a, b in elements(der, from, to) do
    -- In order: algorithm, issuer, validity, subject, key.
    if kind == SEQUENCE then
      sequences = sequences + 1
      if sequences == 4 then
        subject = { a, b }
      end
    elseif kind == CONTEXT_3 then
      add_from_extensions(der, a, b, names)
    end
  end
  if not subject then
    return nil
  end
  -- As Go and ingress-nginx: the common name counts only where there are no alternatives.
  if not names[1] then
    names[1] = common_name(der, subject[1], subject[2])
  end
  return names
end

--- Names of the first certificate of a PEM text, in lower case.
---
--- Errors: `malformed` when there is no certificate in it.
---@param pem string
---@return string[]? names  "a.test", "*.b.test"
---@return string? err
---@return "malformed"? code
function M.names(pem)
  local body = pem:match("%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-(.-)%-%-%-%-%-END CERTIFICATE")
  local der = body and base64.decode(body)
  local names = der and names_in(der)
  if not names then
    return nil, "holds no certificate in PEM form in tls.crt", "malformed"
  end
  return names
end

return M
