-- SPDX-License-Identifier: Apache-2.0
--
-- Certificates for specs, made by openssl in a folder that goes with the process.
local M = {}

local folder

local function run(command)
  -- The sanitizer in front of this process has no business in openssl.
  local pipe = assert(io.popen("exec 2>&1; LD_PRELOAD= " .. command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

function M.read(path)
  local file = assert(io.open(path, "rb"), "missing " .. path)
  local text = file:read("*a")
  file:close()
  return text
end

function M.write(name, text)
  local path = M.folder() .. "/" .. name
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

--- The folder that holds them. It is removed when the Lua state ends.
function M.folder()
  if not folder then
    folder = run("mktemp -d"):gsub("%s+$", "")
    M.guard = newproxy(true)
    getmetatable(M.guard).__gc = function()
      run("rm -rf " .. folder)
    end
  end
  return folder
end

local KEYS = {
  ec = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1",
  rsa = "-newkey rsa:2048",
}

--- Makes a certificate and its key, once for each name.
---
--- options: cn, or subject (as of -subj), san (as of openssl), key ("ec" or "rsa"), ca (true: it
--- may sign), issuer (one that was made here; nil: signed by itself), days, ocsp (URL of the
--- issuer's responder).
---@return table  certificate and key (PEM), certificate_path and key_path
function M.make(name, options)
  local base = M.folder() .. "/" .. name
  local made = { name = name, certificate_path = base .. ".pem", key_path = base .. ".key" }
  local extensions = { "basicConstraints=critical,CA:" .. (options.ca and "TRUE" or "FALSE") }
  if options.san then
    table.insert(extensions, "subjectAltName=" .. options.san)
  end
  if options.ocsp then
    table.insert(extensions, "authorityInfoAccess=OCSP;URI:" .. options.ocsp)
  end
  local config = M.write(name .. ".ext", table.concat(extensions, "\n") .. "\n")
  local make = "openssl req -new -nodes -utf8 -multivalue-rdn %s -subj '%s' -keyout %s -out %s.csr"
  local request = make:format(
    KEYS[options.key or "ec"],
    options.subject or ("/CN=" .. (options.cn or name)),
    made.key_path,
    base
  )
  local signer = options.issuer
      and ("-CA %s -CAkey %s -CAcreateserial"):format(
        options.issuer.certificate_path,
        options.issuer.key_path
      )
    or ("-signkey " .. made.key_path)
  local said = run(request)
    .. run(
      ("openssl x509 -req -sha256 -days %d -in %s.csr %s -extfile %s -out %s"):format(
        options.days or 30,
        base,
        signer,
        config,
        made.certificate_path
      )
    )
  local file = io.open(made.certificate_path)
  assert(file, said)
  file:close()
  made.certificate = M.read(made.certificate_path)
  made.key = M.read(made.key_path)
  return made
end

--- What openssl prints for `openssl x509 -noout ARGUMENTS`.
function M.describe(made, arguments)
  return run(("openssl x509 -noout -in %s %s"):format(made.certificate_path, arguments))
end

local REVOKING = [[
[ca]
default_ca = this
[this]
database = %s/index
default_md = sha256
default_crl_days = 30
]]

--- The list of what an authority of this module has revoked, PEM; each call begins a new list.
function M.revocations(issuer, revoked)
  local folder_of_list = run("mktemp -d -p " .. M.folder()):gsub("%s+$", "")
  local config = folder_of_list .. "/config"
  local file = assert(io.open(config, "w"))
  file:write(REVOKING:format(folder_of_list))
  file:close()
  assert(io.open(folder_of_list .. "/index", "w")):close()
  local base = ("openssl ca -config %s -cert %s -keyfile %s "):format(
    config,
    issuer.certificate_path,
    issuer.key_path
  )
  for _, made in ipairs(revoked) do
    run(base .. "-revoke " .. made.certificate_path)
  end
  local said = run(base .. "-gencrl -out " .. folder_of_list .. "/crl")
  local list = io.open(folder_of_list .. "/crl", "rb")
  assert(list, said)
  local text = list:read("*a")
  list:close()
  return text
end

local HEAD, TAIL = "-----BEGIN OCSP RESPONSE-----", "-----END OCSP RESPONSE-----"

--- What the issuer's OCSP responder says of a certificate of this module, for three days: DER, and
--- the same as a block of PEM. `status`: "V" (valid, the default) or "R" (revoked).
function M.ocsp(made, issuer, status)
  local base = M.folder() .. "/" .. made.name .. ".ocsp"
  local serial = M.describe(made, "-serial"):match("=(%x+)")
  M.write(made.name .. ".ocsp.index", ("%s\t990101000000Z\t%s\t%s\tunknown\t/CN=%s\n"):format(
    status or "V", status == "R" and "260101000000Z" or "", serial, made.name))
  local said = run(("openssl ocsp -issuer %s -cert %s -no_nonce -reqout %s.question"):format(
    issuer.certificate_path, made.certificate_path, base))
    .. run(("openssl ocsp -index %s.index -CA %s -rsigner %s -rkey %s -reqin %s.question "
      .. "-respout %s -ndays 3"):format(base, issuer.certificate_path, issuer.certificate_path,
      issuer.key_path, base, base))
  local file = io.open(base, "rb")
  assert(file, said)
  local der = file:read("*a")
  file:close()
  return der, M.ocsp_block(der)
end

--- DER of a response of OCSP as a block of PEM.
function M.ocsp_block(der)
  local path = M.write("block.der", der)
  return ("%s\n%s%s\n"):format(HEAD, run("base64 -w 64 " .. path), TAIL)
end

return M
