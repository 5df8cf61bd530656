-- SPDX-License-Identifier: Apache-2.0
--
-- Manifests and scripts of folders, read once: what `check` and `explain` work on.
local ffi = require("ffi")

local C = require("moongate.api.core")
local errors = require("moongate.api.errors")
local folder = require("moongate.control.source.folder")
local gateway = require("moongate.control.gateway")
local ingresses = require("moongate.control.translate.ingresses")
local publish = require("moongate.control.publish")
local scripts = require("moongate.api.scripts")
local vm = require("moongate.api.vm")

--- What a fault names as its object: of scripts, and of a class that is not among the manifests.
local M = { SCRIPT = "script", CLASS = "IngressClass nginx" }

local CLASS = {
  path = "(built in)",
  text = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\n"
    .. "metadata: {name: nginx}\nspec: {controller: k8s.io/ingress-nginx}\n",
}

-- Manifests of an application seldom hold the class of the cluster that they are for: they are
-- judged as if it were there.
local function with_class(files)
  for _, file in ipairs(files) do
    if file.text and file.text:find("kind[\"']?%s*:%s*[\"']?IngressClass%f[%W]") then
      return files
    end
  end
  local all = { CLASS }
  for i, file in ipairs(files) do
    all[i + 1] = file
  end
  return all
end

-- `run` makes up no class, so what was judged by one may not be served there.
local function warn_of_class(model, store, flags)
  local class = store.objects.IngressClass.nginx
  local context = { store = store, flags = flags or {}, faults = {} }
  if not class or class.file ~= CLASS.path then
    return
  end
  for _, object in pairs(store.objects.Ingress) do
    if object.value.spec.ingressClassName == class.name and ingresses.judge(context, object) then
      table.insert(model.faults, {
        severity = "warning",
        object = M.CLASS,
        code = "missing",
        message = "is not among the manifests; `moongate run` serves the Ingresses that name it "
          .. "only where it is there: add it",
      })
      return
    end
  end
end

local function fault_of(err)
  local file, line, message = err:match("^(.-):(%d+): (.*)$")
  return {
    severity = "error",
    object = M.SCRIPT,
    file = file,
    line = tonumber(line),
    column = file and 1 or nil,
    message = message or err,
  }
end

local OWN_WORK_MS = 0xffffffff -- of thousands of objects

local function run_scripts(texts)
  local err = C.mg_watch_start(vm)
  if err < 0 then
    return nil, errors.text(err)
  end
  C.mg_watch_limit(vm, 0)
  local loaded, why = scripts.contain(scripts.load, texts)
  C.mg_watch_limit(vm, OWN_WORK_MS)
  return loaded, why
end

-- Every file is compiled, so that each error of syntax is told; they run when there is none.
local function load_scripts(files, faults)
  local texts, sound = {}, true
  for _, file in ipairs(files) do
    local err = file.err and ("%s: %s"):format(file.path, file.err)
    if not err then
      err = select(2, loadstring(file.text, "@" .. file.path))
      texts[#texts + 1] = { path = file.path, name = file.name, text = file.text }
    end
    if err then
      sound = false
      faults[#faults + 1] = fault_of(err)
    end
  end
  if sound then
    local loaded, err = run_scripts(texts)
    if loaded then
      return loaded
    end
    faults[#faults + 1] = fault_of(err)
  end
  return { plugins = {}, routes = {}, settings = {} }
end

---@class moongate.Judged : moongate.Explainable
---@field store moongate.Store
---@field files integer
---@field flags table<string, any>
local Judged = {}
Judged.__index = Judged

--- Lets go of the snapshot.
function Judged:close()
  if self.snapshot then
    C.mg_snapshot_unref(self.snapshot)
    self.publisher.writer:close()
    self.snapshot = nil
  end
end

--- Reads everything and builds model and snapshot. To be closed.
---@param sources moongate.Sources
---@param resolve fun(host: string): string[]?, string?
---@return moongate.Judged
function M.read(sources, resolve)
  local manifests = folder.scan(sources.manifests, folder.is_manifest)
  local files = folder.scan(sources.scripts, folder.is_script)
  local faults = {}
  local loaded = load_scripts(files, faults)
  local values = gateway.settings_of(loaded, sources.settings)
  local model, store = gateway.model(sources, with_class(manifests), loaded, values, resolve)
  local publisher = publish.new()
  local snapshot, _, found = publisher:build(model)
  for _, list in ipairs({ faults, found }) do
    for _, fault in ipairs(list) do
      table.insert(model.faults, fault)
    end
  end
  warn_of_class(model, store, sources.flags)
  return setmetatable({
    model = model,
    store = store,
    snapshot = snapshot,
    publisher = publisher,
    plugins = loaded.plugins,
    files = #manifests + #files,
    flags = sources.flags or {},
  }, Judged)
end

--- Whether there is something at a path: "folder", "file" or nil.
---@param path string
---@return "folder"|"file"|nil
function M.kind(path)
  local kind = C.mg_file_stat(path, ffi.new("struct mg_file_facts"))
  return kind == 2 and "folder" or kind == 1 and "file" or nil
end

--- Sorts paths into those of manifests and those of scripts: a folder may hold both, a file is what
--- its ending says.
---@param paths string[]
---@return string[]? manifests
---@return string[]|string scripts  or what is wrong
function M.sort(paths)
  local manifests, lua = {}, {}
  for _, path in ipairs(paths) do
    local kind = M.kind(path)
    if not kind then
      return nil, ("%s: there is no such file or folder"):format(path)
    elseif kind == "folder" or path:match("%.lua$") then
      lua[#lua + 1] = path
    end
    if kind == "folder" or not path:match("%.lua$") then
      manifests[#manifests + 1] = path
    end
  end
  return manifests, lua
end

return M
