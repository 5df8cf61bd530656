-- SPDX-License-Identifier: Apache-2.0
--
-- Every annotation that a user of ingress-nginx may write is declared, is in a golden case of
-- spec/translate, and, if it changes traffic, is in a spec that sends traffic.
local annotations = require("moongate.control.translate.annotations")

local PREFIX = "nginx.ingress.kubernetes.io/"

-- The 136 names that ingress-nginx 1.15.1 registers, and its two aliases.
local NAMES = [[
  rewrite-target use-regex app-root preserve-trailing-slash ssl-redirect
  force-ssl-redirect use-port-in-redirects relative-redirects permanent-redirect
  permanent-redirect-code temporal-redirect temporal-redirect-code from-to-www-redirect
  x-forwarded-prefix server-alias canary canary-by-header canary-by-header-value
  canary-by-header-pattern canary-by-cookie canary-weight canary-weight-total
  affinity-canary-behavior auth-type auth-secret auth-secret-type auth-realm satisfy
  auth-url auth-signin auth-signin-redirect-param auth-method auth-response-headers
  auth-request-redirect auth-always-set-cookie auth-cache-key auth-cache-duration
  auth-keepalive auth-keepalive-requests auth-keepalive-timeout auth-keepalive-share-vars
  auth-proxy-set-headers enable-global-auth auth-snippet auth-tls-secret
  auth-tls-verify-client auth-tls-verify-depth auth-tls-error-page
  auth-tls-pass-certificate-to-upstream auth-tls-match-cn enable-cors cors-allow-origin
  cors-allow-methods cors-allow-headers cors-allow-credentials cors-expose-headers
  cors-max-age whitelist-source-range allowlist-source-range denylist-source-range
  limit-rps limit-rpm limit-burst-multiplier limit-connections limit-whitelist
  limit-allowlist limit-rate limit-rate-after proxy-body-size proxy-connect-timeout
  proxy-read-timeout proxy-send-timeout proxy-next-upstream proxy-next-upstream-tries
  proxy-next-upstream-timeout proxy-request-buffering proxy-buffering proxy-buffer-size
  proxy-buffers-number proxy-busy-buffers-size proxy-max-temp-file-size
  client-body-buffer-size proxy-http-version proxy-cookie-domain proxy-cookie-path
  proxy-redirect-from proxy-redirect-to upstream-vhost service-upstream backend-protocol
  connection-proxy-header custom-headers mirror-target mirror-request-body mirror-host
  default-backend custom-http-errors disable-proxy-intercept-errors proxy-ssl-secret
  proxy-ssl-verify proxy-ssl-verify-depth proxy-ssl-name proxy-ssl-server-name
  proxy-ssl-ciphers proxy-ssl-protocols ssl-ciphers ssl-prefer-server-ciphers
  ssl-passthrough load-balance upstream-hash-by upstream-hash-by-subset
  upstream-hash-by-subset-size affinity affinity-mode session-cookie-name
  session-cookie-path session-cookie-domain session-cookie-max-age session-cookie-expires
  session-cookie-secure session-cookie-samesite session-cookie-conditional-samesite-none
  session-cookie-change-on-failure enable-access-log enable-rewrite-log
  enable-opentelemetry opentelemetry-trust-incoming-span opentelemetry-operation-name
  http2-push-preload fastcgi-index fastcgi-params-configmap enable-modsecurity
  enable-owasp-core-rules modsecurity-transaction-id modsecurity-snippet
  configuration-snippet server-snippet stream-snippet
]]

-- Annotations of these states have no effect on traffic: `none` is accepted, `later` waits, and
-- `refused` is never run.
local STILL = { none = true, later = true, refused = true }

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

-- Path -> text.
local function texts_of(pattern)
  local pipe = io.popen("LD_PRELOAD= ls " .. pattern)
  local texts = {}
  for path in pipe:lines() do
    texts[path] = read(path)
  end
  pipe:close()
  return texts
end

-- Names in manifests, below the prefix.
local function in_golden_cases()
  local found = {}
  for _, text in pairs(texts_of("spec/translate/*/in.yaml")) do
    for name in text:gmatch("\n%s+" .. PREFIX:gsub("[.-]", "%%%0") .. "([%w-]+)[\"']?:") do
      found[name] = true
    end
  end
  return found
end

-- What follows from them is tested nowhere in there: faults are.
local NO_TRAFFIC = { ["spec/flow/faults_spec.lua"] = true }

local QUOTED_PREFIX = PREFIX:gsub("[.-]", "%%%0")

-- Where a spec without rows writes a name: beside the prefix, and in what it hands to the function
-- that puts the prefix before it.
local WRITTEN = { QUOTED_PREFIX .. "([%w-]+)", 'PREFIX%s*%.%.%s*"([%w-]+)"',
  'gateway_to%([^,()]+,%s*"([%w-]+)"' }
local HANDED = "annotations(%b())"
local KEYS = { '%["([%w-]+)"%] =', "[{,]%s*(%l+) =" }

-- Names of which a spec with traffic sees what follows. In tables of rows it is the first word of
-- each: the others are only what a row needs.
local function in_flow_specs()
  local found = {}
  local function add(text, pattern)
    for name in text:gmatch(pattern) do
      found[name] = true
    end
  end
  for path, text in pairs(texts_of("spec/flow/*_spec.lua")) do
    local rows = text:find("spec.support.annotated", 1, true) and text
      or text:find(PREFIX, 1, true) and text:match("local ROWS = (%b{})")
    if rows then
      add(rows, '{%s*"([%w-]+)",')
    elseif text:find(PREFIX, 1, true) and not NO_TRAFFIC[path] then
      for _, pattern in ipairs(WRITTEN) do
        add(text, pattern)
      end
      for handed in text:gmatch(HANDED) do
        for _, pattern in ipairs(KEYS) do
          add(handed, pattern)
        end
      end
    end
  end
  return found
end

local function missing(found, is_due)
  local list = {}
  for _, name in ipairs(annotations.names) do
    if not found[name] and is_due(annotations.known[name]) then
      list[#list + 1] = name
    end
  end
  return list
end

describe("annotations of ingress-nginx", function()
  local listed, count = {}, 0
  for name in NAMES:gmatch("%S+") do
    listed[name], count = true, count + 1
  end

  it("are 138, and each is declared", function()
    local undeclared = {}
    for name in pairs(listed) do
      undeclared[#undeclared + 1] = not annotations.known[name] and name or nil
    end
    assert.same({}, undeclared)
    assert.equal(138, count)
  end)

  it("are all that is declared", function()
    local unlisted = {}
    for _, name in ipairs(annotations.names) do
      unlisted[#unlisted + 1] = not listed[name] and name or nil
    end
    assert.same({}, unlisted)
    assert.equal(count, #annotations.names)
  end)

  it("are each in a golden case", function()
    assert.same({}, missing(in_golden_cases(), function()
      return true
    end))
  end)

  it("are each in a spec with traffic, if they change it", function()
    assert.same({}, missing(in_flow_specs(), function(entry)
      return not STILL[entry.supported]
    end))
  end)

  it("are in no state that this spec does not know", function()
    for _, name in ipairs(annotations.names) do
      local state = annotations.known[name].supported
      assert.truthy(state == nil or STILL[state], name)
    end
  end)
end)
