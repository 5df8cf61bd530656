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
--- options: cn, san (as of openssl), key ("ec" or "rsa"), ca (true: it may sign), issuer (one that
--- was made here; nil: signed by itself), days.
---@return table  certificate and key (PEM), certificate_path and key_path
function M.make(name, options)
  local base = M.folder() .. "/" .. name
  local made = { name = name, certificate_path = base .. ".pem", key_path = base .. ".key" }
  local extensions = { "basicConstraints=critical,CA:" .. (options.ca and "TRUE" or "FALSE") }
  if options.san then
    extensions[2] = "subjectAltName=" .. options.san
  end
  local config = M.write(name .. ".ext", table.concat(extensions, "\n") .. "\n")
  local request = ("openssl req -new -nodes %s -subj '/CN=%s' -keyout %s -out %s.csr"):format(
    KEYS[options.key or "ec"],
    options.cn or name,
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

return M
