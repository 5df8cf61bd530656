-- SPDX-License-Identifier: Apache-2.0
--
-- With enable-ocsp: what is asked of an issuer's responder, whose answers are believed, and when it
-- is asked again.
local certificates = require("spec.support.certificates")
local manifests = require("spec.support.manifests")
local mg = require("moongate")
local nobody = require("spec.support.nobody")
local ocsp = require("moongate.control.ocsp")
local program = require("spec.support.program")
local t = require("moongate.test")

local TYPE = { ["Content-Type"] = "application/ocsp-response" }

local function s_client(gateway)
  return program.shell(("echo | openssl s_client -connect 127.0.0.1:%d -servername a.test -status "
    .. "2>&1"):format(gateway.https_port)).output
end

local function is_stapled(gateway)
  local text = s_client(gateway)
  return text:find("Cert Status: good", 1, true) ~= nil, text
end

describe("enable-ocsp", function()
  local ca, gateway, responder, made

  setup(function()
    ca = certificates.make("ca", { ca = true })
  end)

  after_each(function()
    gateway:stop()
  end)

  -- A gateway whose certificate is answered for by its upstream `responder`; `chain` stands behind.
  local function prepare(url, chain, settings)
    settings = settings or {}
    settings["enable-ocsp"] = settings["enable-ocsp"] == nil and true or settings["enable-ocsp"]
    gateway = t.gateway({ workers = 1, settings = settings })
    responder = gateway:upstream("responder")
    made = certificates.make("a", { san = "DNS:a.test", issuer = ca,
      ocsp = url or responder:url() })
    local secret = { certificate = made.certificate .. (chain or ca.certificate), key = made.key }
    gateway.options.manifests = { ["a.yaml"] = manifests.join(manifests.CLASS,
      manifests.service("web", { gateway:upstream("app").port }), manifests.secret("pair", secret),
      manifests.ingress("web", { host = "a.test", service = "web", secret = "pair" })) }
  end

  it("sends the responder's answer along", function()
    prepare()
    local der = certificates.ocsp(made, ca)
    responder:answer({ body = der, headers = TYPE })
    gateway:start()
    t.wait_until(function()
      return is_stapled(gateway)
    end, "the response")
    local request = responder:request(1)
    assert.equal("POST", request.method)
    assert.equal("application/ocsp-request", request:header("content-type"))
    assert.equal(certificates.read(certificates.folder() .. "/a.ocsp.question"), request.body)
    assert.equal(1, #responder.requests)
    assert.equal(0, #gateway:logs("ocsp_failed"))
    -- Another change does not have it asked again.
    gateway:reload()
    assert.is_true((is_stapled(gateway)))
    assert.equal(1, #responder.requests)
  end)

  local other_ca = { ca = true }
  for what, case in pairs({
    ["that says the certificate is revoked"] = {
      "the OCSP response does not say that the certificate is good", function()
        return (certificates.ocsp(made, ca, "R"))
      end },
    ["about another certificate"] = { "the OCSP response is about another certificate", function()
      return (certificates.ocsp(certificates.make("other", { issuer = ca }), ca))
    end },
    ["of another authority"] = { "nobody has signed the OCSP response who may", function()
      local stranger = certificates.make("stranger", other_ca)
      return (certificates.ocsp(made, stranger))
    end },
    ["with a byte changed"] = { "nobody has signed the OCSP response who may", function()
      local der = certificates.ocsp(made, ca)
      local _, at = der:find(("%d"):rep(14)) -- the last digit of producedAt
      return der:sub(1, at - 1) .. (der:sub(at, at) == "0" and "1" or "0") .. der:sub(at + 1)
    end },
    ["that is a refusal"] = { "the OCSP response is a refusal of the responder", function()
      return "\48\3\10\1\6"
    end },
    ["that is none"] = { "the OCSP response is malformed", function()
      return "<html>"
    end },
  }) do
    it("does not believe an answer " .. what, function()
      prepare()
      responder:answer({ body = case[2](), headers = TYPE })
      gateway:start()
      local line = gateway:wait_log("ocsp_failed")
      assert.equal(case[1], line.error)
      assert.equal("Secret default/pair", line.certificate)
      assert.equal(responder:url(), line.responder)
      local stapled, text = is_stapled(gateway)
      assert.is_false(stapled)
      assert.truthy(text:find("OCSP response: no response sent", 1, true), text)
      assert.equal(1, #gateway:logs("published"))
    end)
  end

  it("goes on without a responder", function()
    prepare(("http://127.0.0.1:%d"):format(nobody.port()))
    gateway:start()
    gateway:wait_log("ocsp_failed")
    assert.is_false((is_stapled(gateway)))
  end)

  it("goes on with a responder that fails", function()
    prepare()
    responder:answer({ status = 500, body = "no" })
    gateway:start()
    assert.equal("status 500", gateway:wait_log("ocsp_failed").error)
  end)

  it("takes no more of an answer than one can be", function()
    prepare()
    responder:answer({ body = ("x"):rep(100000), headers = TYPE })
    gateway:start()
    gateway:wait_log("ocsp_failed")
    assert.is_false((is_stapled(gateway)))
  end)

  for what, prepared in pairs({
    ["a chain without the issuer"] = function()
      prepare(nil, "")
    end,
    ["a chain that comes with a response"] = function()
      prepare()
      local _, block = certificates.ocsp(made, ca)
      prepare(nil, ca.certificate .. block)
    end,
    ["any, when it is off"] = function()
      prepare(nil, nil, { ["enable-ocsp"] = false })
    end,
  }) do
    it("asks nothing about " .. what, function()
      prepared()
      gateway:start()
      gateway:reload()
      assert.equal(0, #responder.requests)
      assert.equal(0, #gateway:logs("ocsp_failed"))
    end)
  end
end)

describe("answers of OCSP responders", function()
  local ca, made, responder, answers, changes

  before_each(function()
    ca = certificates.make("ca", { ca = true })
    responder = t.upstream()
    made = certificates.make("a", { san = "DNS:a.test", issuer = ca, ocsp = responder:url() })
    answers, changes = ocsp.new(), 0
  end)

  after_each(function()
    responder:close()
  end)

  local function model()
    return { typed_settings = { ["enable-ocsp"] = true }, certificates = { {
      source = "Secret n/a", names = { "a.test" }, key = made.key,
      certificate = made.certificate .. ca.certificate } } }
  end

  local function run()
    answers:fill(model())
    mg.task.spawn(function()
      answers:run(function()
        changes = changes + 1
        answers:fill(model())
      end)
    end)
  end

  it("are asked for again at half of what is left of them, or after a day", function()
    responder:answer(function()
      return { body = certificates.ocsp(made, ca) } -- for three days
    end)
    run()
    responder:request(1)
    t.wait_until(function()
      return changes == 1
    end, "the first answer")
    t.clock.advance("23h")
    assert.equal(1, #responder.requests)
    t.clock.advance("2h")
    responder:request(2)
  end)

  it("that did not come are asked for later and later", function()
    responder:answer({ status = 503, body = "" })
    run()
    responder:request(1)
    for number, minutes in ipairs({ 2, 3, 5 }) do
      t.clock.advance(("%dm"):format(minutes))
      responder:request(number + 1)
    end
    assert.equal(0, changes)
    assert.is_true(#responder.requests <= 6)
  end)

  it("are forgotten with their certificate", function()
    responder:answer({ body = certificates.ocsp(made, ca) })
    run()
    t.wait_until(function()
      return changes == 1
    end, "the answer")
    local filled = model()
    answers:fill(filled)
    assert.truthy(filled.certificates[1].certificate:find("BEGIN OCSP RESPONSE", 1, true))
    assert.same({ "a.test" }, filled.certificates[1].names)
    answers:fill({ typed_settings = { ["enable-ocsp"] = true }, certificates = {} })
    assert.is_nil(next(answers.known))
  end)
end)
