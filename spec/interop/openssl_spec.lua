-- SPDX-License-Identifier: Apache-2.0
--
-- OpenSSL's s_client: versions, ALPN, names, sessions, certificates of clients, and what else a
-- client may choose of TLS.
local ffi = require("ffi")

local certificates = require("spec.support.certificates")
local manifests = require("spec.support.manifests")
local program = require("spec.support.program")
local t = require("moongate.test")

local PREFIX = "nginx.ingress.kubernetes.io/"
local VERSIONS = { ["TLSv1.2"] = "-tls1_2", ["TLSv1.3"] = "-tls1_3" }
local SUITES = {
  ec = { "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305" },
  rsa = { "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305" },
}
local SUITES_13 = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256" }

-- $1: suite, $2: port, $3: a folder. Each word that follows is typed when the one before has been
-- sent as a record. Lines of one letter are commands: K asks for new keys of ours, k has its own.
local TYPED = [[
mkfifo "$3/in"
openssl s_client -msg -tls1_3 -ciphersuites "$1" -connect 127.0.0.1:"$2" -servername ec.test \
  <"$3/in" >"$3/out" 2>&1 &
client=$! out="$3/out"
exec 3>"$3/in"
sent() {
  grep -ac '^>>> .*InnerContent' "$out"
}
wait_for() {
  until [ "$(sent)" -ge "$1" ] || ! kill -0 $client 2>/dev/null; do sleep 0.02; done
}
wait_for 1
shift 3
for line; do
  next=$(($(sent) + 1))
  printf %b "$line" >&3
  wait_for $next
done
wait $client
cat "$out"
]]

local gateway, ca, alice, files
local folders = 0

-- Asks for / of the host that it names, once the handshake is done; `before` are commands of
-- s_client, each a line, which it takes a moment for.
local function s_client(host, arguments, before)
  local request = ("GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"):format(host)
  local input, quiet = "printf '%s' \"$4\"", "-ign_eof"
  if before then
    input, quiet = "(printf '%s' \"$5\"; sleep 0.2; printf '%s' \"$4\"; sleep 0.2)", ""
  end
  local command = "%s | openssl s_client %s -connect 127.0.0.1:$1 -servername $2 -CAfile $3 %s 2>&1"
  return program.shell(command:format(input, quiet, arguments),
    gateway.https_port, host, ca.certificate_path, request, before).output
end

local function has(text, what)
  assert.is_truthy(text:find(what, 1, true), ("no %q in\n%s"):format(what, text))
end

-- So many messages of its own and of the gateway's, in what OpenSSL tells with -msg.
local function has_keys(text, own, ours)
  local pattern = " TLS 1.3, Handshake [^\n]+, KeyUpdate"
  assert.equal(own, select(2, text:gsub(">>>" .. pattern, "")), text)
  assert.equal(ours, select(2, text:gsub("<<<" .. pattern, "")), text)
end

local function is_answered(text)
  has(text, "HTTP/1.1 200 OK")
end

describe("s_client", function()
  setup(function()
    ca = certificates.make("ca", { ca = true })
    alice = certificates.make("alice", { issuer = ca })
    files = ("-cert %s -key %s"):format(alice.certificate_path, alice.key_path)
    local texts = { manifests.CLASS, manifests.authority("authority", ca) }
    gateway = t.gateway({ workers = 3 })
    table.insert(texts, manifests.service("web", { gateway:upstream("app").port }))
    for _, name in ipairs({ "ec", "rsa", "must" }) do
      local made = certificates.make(name, { key = name == "rsa" and "rsa" or "ec", issuer = ca,
        san = ("DNS:%s.test"):format(name) })
      if name ~= "rsa" then -- with an OCSP response
        local _, block = certificates.ocsp(made, ca)
        made.certificate = made.certificate .. ca.certificate .. block
      end
      table.insert(texts, manifests.secret(name, made))
      table.insert(texts, manifests.ingress(name, { host = name .. ".test", service = "web",
        secret = name, annotations = { [PREFIX .. "auth-tls-secret"] = name == "must"
          and "default/authority" or nil } }))
    end
    gateway.options.manifests = { ["all.yaml"] = manifests.join(unpack(texts)) }
    gateway:start()
  end)

  teardown(function()
    gateway:stop()
  end)

  for version, flag in pairs(VERSIONS) do
    it("speaks " .. version, function()
      local text = s_client("ec.test", flag .. " -verify_return_error")
      has(text, "New, " .. version)
      has(text, "Verify return code: 0 (ok)")
      is_answered(text)
    end)

    -- offered, agreed
    for _, case in ipairs({ { "h2,http/1.1", "h2" }, { "http/1.1,h2", "h2" }, { "h2", "h2" },
      { "http/1.1", "http/1.1" }, { "spdy/3,http/1.1", "http/1.1" } }) do
      it(("agrees on %s of %s by %s"):format(case[2], case[1], version), function()
        has(s_client("ec.test", flag .. " -alpn " .. case[1]), "ALPN protocol: " .. case[2])
      end)
    end

    it("needs no ALPN: " .. version, function()
      local text = s_client("ec.test", flag)
      has(text, "No ALPN negotiated")
      is_answered(text)
    end)

    it("is refused where it offers nothing that is known: " .. version, function()
      has(s_client("ec.test", flag .. " -alpn h3,spdy/3"), "no application protocol")
    end)

    for _, name in ipairs({ "ec", "rsa" }) do
      it(("gets the certificate of the name it asks for: %s, %s"):format(name, version), function()
        has(s_client(name .. ".test", flag), "subject=CN = " .. name)
      end)
    end

    it("shows a certificate of its own, where one is asked for: " .. version, function()
      local text = s_client("must.test", flag .. " " .. files)
      has(text, "\nRequested Signature Algorithms")
      is_answered(text)
      local app = gateway:upstream("app")
      local request = app:request(#app.requests)
      assert.equal("SUCCESS", request:header("ssl-client-verify"))
      assert.equal("CN=alice", request:header("ssl-client-subject-dn"))
      text = s_client("ec.test", flag .. " " .. files)
      assert.is_nil(text:find("Requested Signature Algorithms", 1, true))
    end)

    it("resumes sessions that any worker began: " .. version, function()
      local path = certificates.folder() .. "/session-" .. version
      has(s_client("ec.test", flag .. " -sess_out " .. path), "New, " .. version)
      for _ = 1, 6 do
        local text = s_client("ec.test", ("%s -sess_in %s -sess_out %s"):format(flag, path,
          path))
        has(text, "Reused, " .. version)
        is_answered(text)
      end
    end)

    it("takes no session to a host of another name: " .. version, function()
      local path = certificates.folder() .. "/other-" .. version
      s_client("ec.test", flag .. " -sess_out " .. path)
      has(s_client("rsa.test", ("%s -sess_in %s"):format(flag, path)), "New, ")
      local text = s_client("must.test", ("%s -sess_in %s"):format(flag, path))
      has(text, "New, ")
      has(text, "HTTP/1.1 400 ") -- no certificate, whatever the session was
    end)

    -- In TLS 1.3 the second of these is asked for another hello first.
    for _, more in ipairs({ "", "-groups X448:P-256", "-maxfraglen 512" }) do
      it(("gets the OCSP response that it asks for: %s %s"):format(version, more), function()
        local text = s_client("ec.test", ("%s -status %s"):format(flag, more))
        has(text, "OCSP Response Status: successful")
        has(text, "Cert Status: good")
        has(text, "Verify return code: 0 (ok)")
        is_answered(text)
      end)
    end

    it("gets it with a certificate of its own too: " .. version, function()
      local text = s_client("must.test", ("%s -status %s"):format(flag, files))
      has(text, "Cert Status: good")
      is_answered(text)
    end)

    it("gets no OCSP response where there is none, or it did not ask: " .. version, function()
      has(s_client("rsa.test", flag .. " -status"), "OCSP response: no response sent")
      local text = s_client("ec.test", flag)
      assert.is_nil(text:find("OCSP", 1, true), text)
      is_answered(text)
    end)

    it("gets no OCSP response with a session that it resumes: " .. version, function()
      local path = certificates.folder() .. "/status-" .. version
      s_client("ec.test", ("%s -status -sess_out %s"):format(flag, path))
      local text = s_client("ec.test", ("%s -status -sess_in %s"):format(flag, path))
      has(text, "Reused, " .. version)
      is_answered(text)
    end)

    it("has curl believe the OCSP response: " .. version, function()
      local said = program.curl(gateway, "ec.test", "--no-insecure", "--cacert",
        ca.certificate_path, "--cert-status", "--tls-max", version:match("[%d.]+"), "-o",
        "/dev/null", "-w", "%{http_code} %{ssl_verify_result}")
      assert.equal("200 0", said.output)
    end)

    it("sends small records and takes small ones: " .. version, function()
      is_answered(s_client("ec.test", flag .. " -split_send_frag 512 -max_send_frag 512"))
      is_answered(s_client("ec.test", flag .. " -maxfraglen 512"))
    end)
  end

  for kind, suites in pairs(SUITES) do
    for _, suite in ipairs(suites) do
      it("agrees on " .. suite, function()
        local text = s_client(kind .. ".test", "-tls1_2 -cipher " .. suite)
        has(text, "Cipher is " .. suite)
        is_answered(text)
      end)
    end
  end

  for _, suite in ipairs(SUITES_13) do
    it("agrees on " .. suite, function()
      local text = s_client("ec.test", "-tls1_3 -ciphersuites " .. suite)
      has(text, "Cipher is " .. suite)
      is_answered(text)
    end)
  end

  local function typed(suite, lines)
    folders = folders + 1
    local folder = ("%s/typed-%d"):format(certificates.folder(), folders)
    assert.equal(0, os.execute("mkdir " .. folder))
    return program.run({ "/bin/sh", "-c", TYPED, "sh", suite, tostring(gateway.https_port), folder,
      unpack(lines) }).output
  end

  local POST = "POST / HTTP/1.1\\r\\nHost: ec.test\\r\\n%sTransfer-Encoding: chunked\\r\\n\\r\\n"

  for _, suite in ipairs(SUITES_13) do
    it("may have new keys again and again: " .. suite, function()
      local text = typed(suite, { "K\\n", POST:format(""), "k\\n", "3\\r\\none\\r\\n", "K\\n",
        "k\\n", "3\\r\\ntwo\\r\\n0\\r\\n\\r\\n", "K\\n", "K\\n",
        POST:format("Connection: close\\r\\n"), "5\\r\\nthree\\r\\n0\\r\\n\\r\\n" })
      has_keys(text, 6, 4)
      assert.equal(2, select(2, text:gsub("HTTP/1.1 200 OK", "")), text)
      local requests = gateway:upstream("app").requests
      assert.equal("onetwo", requests[#requests - 1].body)
      assert.equal("three", requests[#requests].body)
    end)
  end

  it("may not have new keys for ever, and nothing else", function()
    local lines = {}
    for i = 1, 40 do
      lines[i] = "K\\n"
    end
    lines[#lines + 1] = "GET / HTTP/1.1\\r\\nHost: ec.test\\r\\n\\r\\n"
    local text = typed(SUITES_13[1], lines)
    assert.is_nil(text:find("HTTP/1.1 200", 1, true), text)
    is_answered(s_client("ec.test", "-tls1_3"))
  end)

  for groups, key in pairs({ ["X25519"] = "X25519", ["P-256"] = "ECDH, prime256v1",
    ["P-384"] = "ECDH, secp384r1", ["P-521:P-256"] = "ECDH, secp521r1",
    ["X448:P-256"] = "ECDH, prime256v1" }) do
    it("agrees on a group, asked again or not: " .. groups, function()
      local text = s_client("ec.test", "-tls1_3 -groups " .. groups)
      has(text, ("Server Temp Key: %s,"):format(key))
      is_answered(text)
    end)
  end

  for _, flag in ipairs({ "-tls1", "-tls1_1" }) do
    it("is refused with what is old: " .. flag, function()
      local text = s_client("ec.test", flag .. " -cipher DEFAULT@SECLEVEL=0")
      has(text, "alert protocol version")
    end)
  end

  it("may not negotiate again", function()
    local text = s_client("ec.test", "-tls1_2", "R\n")
    assert.is_nil(text:find("HTTP/1.1 200 OK", 1, true), text)
    has(text, "no renegotiation")
  end)

  it("may send early, and is told to say it again", function()
    local path = certificates.folder() .. "/early"
    s_client("ec.test", "-tls1_3 -sess_out " .. path)
    local early = certificates.write("early-data", "GET /early HTTP/1.1\r\nHost: ec.test\r\n\r\n")
    local text = s_client("ec.test", ("-tls1_3 -sess_in %s -early_data %s"):format(path,
      early))
    is_answered(text)
    for _, request in ipairs(gateway:upstream("app").requests) do
      assert.not_equal("/early", request.path)
    end
  end)
end)

-- $1: certificate, $2: key, $3: a folder. Answers three requests of one connection, with new keys
-- before each; the letters are commands of s_server, which ends with the shell.
local SERVER = [[
mkfifo "$3/in"
setpriv --pdeathsig KILL openssl s_server -msg -tls1_3 -accept 127.0.0.1:0 \
  -cert "$1" -key "$2" <"$3/in" >"$3/out" 2>&1 &
exec 3>"$3/in"
out="$3/out" keys=0
wait_for() {
  until [ "$(grep -ac "$1" "$out")" -ge "$2" ]; do sleep 0.02; done
}
wait_for '^ACCEPT 127' 1
sed -n 's/^ACCEPT 127.0.0.1:/port /p' "$out"
for letter in K k K; do
  wait_for "GET /$letter" 1
  for key in $letter $letter; do
    printf "%s\\n" "$key" >&3
    keys=$((keys + 1))
    wait_for '^>>> .*KeyUpdate' $keys
  done
  printf 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nkeys\n' >&3
done
wait
]]

ffi.cdef("int setenv(const char *, const char *, int); int unsetenv(const char *);")

describe("s_server", function()
  it("may have new keys before each of its answers", function()
    local folder = certificates.folder() .. "/server"
    assert.equal(0, os.execute("mkdir " .. folder))
    local made = certificates.make("inner", { san = "IP:127.0.0.1", issuer = ca })
    local server = program.serve({ "/bin/sh", "-c", SERVER, "sh", made.certificate_path,
      made.key_path, folder })
    ffi.C.setenv("SSL_CERT_FILE", ca.certificate_path, 1)
    local route = 'require("moongate").route({ to = "https://127.0.0.1:%d" })\n'
    local front = t.gateway({ workers = 1, scripts = route:format(server.port) }):start()
    ffi.C.unsetenv("SSL_CERT_FILE")
    for _, letter in ipairs({ "K", "k", "K" }) do
      local response = front:client():get("/" .. letter)
      assert.equal("keys\n", response.body)
    end
    has_keys(certificates.read(folder .. "/out"), 6, 4)
    front:stop()
  end)
end)
