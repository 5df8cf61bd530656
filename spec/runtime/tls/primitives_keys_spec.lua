-- SPDX-License-Identifier: Apache-2.0
-- mbedTLS's ECDH, ECDSA and RSA by known answers and by openssl: with libcrypto behind them or
-- without, they do the same.
local ffi = require("ffi")

local certificates = require("spec.support.certificates")
local core = require("spec.support.core")

core.cdef({
  "mbedtls/ecdh.h",
  "mbedtls/ecdsa.h",
  "mbedtls/pk.h",
  "mbedtls/entropy.h",
  "mbedtls/ctr_drbg.h",
})
local C = core.C

jit.off(true, true)

local SECP256R1, SECP384R1, X25519 = 3, 4, 9
local SHA256 = 9

local function unhex(text)
  return (text:gsub("%s", ""):gsub("..", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

local function hex(bytes)
  return (bytes:gsub(".", function(char)
    return ("%02x"):format(char:byte())
  end))
end

-- Little-endian, as X25519 writes numbers.
local function turned(text)
  return hex(unhex(text):reverse())
end

local EXCHANGES = {
  ["RFC 5903, 8.1"] = {
    group = SECP256R1,
    secret = "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
    own = "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63",
    theirs = "04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
      .. "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
    shared = "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
  },
  ["RFC 5903, 8.2"] = {
    group = SECP384R1,
    secret = "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942"
      .. "e0308312916b8ed2960e4bd55a7448fc",
    own = "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d"
      .. "0d1ac43a0336def96fda41d0774a3571",
    theirs = "04667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6"
      .. "de3ac808acb4bdb4c88732aee95f41aa9482ed1fc0eeb9cafc4984625ccfc23f"
      .. "65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
    shared = "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4"
      .. "d603135569b9e9d09cf5d4a270f59746",
  },
  ["RFC 7748, 6.1"] = {
    group = X25519,
    secret = turned("70076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c6a"),
    own = turned("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"),
    theirs = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    shared = turned("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
  },
}

-- RFC 6979, A.2.5 and A.2.6, of the message "sample".
local SIGNATURES = {
  ["P-256"] = {
    group = SECP256R1,
    secret = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
    public = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
      .. "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
    hash = "af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf",
    r = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
    s = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
  },
  ["P-384"] = {
    group = SECP384R1,
    secret = "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d8"
      .. "96d5724e4c70a825f872c9ea60d2edf5",
    public = "04ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64"
      .. "def8f0ea9055866064a254515480bc138015d9b72d7d57244ea8ef9ac0c62189"
      .. "6708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720",
    hash = "9a9083505bc92276aec4be312696ef7bf3bf603f4bbd381196a029f340585312"
      .. "313bca4a9b5b890efee42c77b1ee25fe",
    r = "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c"
      .. "81a648152e44acf96e36dd1e80fabe46",
    s = "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94f"
      .. "a329c145786e679e7b82c71a38628ac8",
  },
}

describe("public keys of mbedTLS", function()
  local entropy, random

  setup(function()
    entropy, random = ffi.new("mbedtls_entropy_context"), ffi.new("mbedtls_ctr_drbg_context")
    C.mbedtls_entropy_init(entropy)
    C.mbedtls_ctr_drbg_init(random)
    assert.equal(0, C.mbedtls_ctr_drbg_seed(random, C.mbedtls_entropy_func, entropy, nil, 0))
  end)

  teardown(function()
    C.mbedtls_ctr_drbg_free(random)
    C.mbedtls_entropy_free(entropy)
  end)

  local function number(text)
    local mpi = ffi.gc(ffi.new("mbedtls_mpi"), C.mbedtls_mpi_free)
    C.mbedtls_mpi_init(mpi)
    if text then
      assert.equal(0, C.mbedtls_mpi_read_string(mpi, 16, text))
    end
    return mpi
  end

  local function text_of(mpi, bytes)
    local out = ffi.new("uint8_t[?]", bytes)
    assert.equal(0, C.mbedtls_mpi_write_binary(mpi, out, bytes))
    return hex(ffi.string(out, bytes))
  end

  local function group(id)
    local made = ffi.gc(ffi.new("mbedtls_ecp_group"), C.mbedtls_ecp_group_free)
    C.mbedtls_ecp_group_init(made)
    assert.equal(0, C.mbedtls_ecp_group_load(made, id))
    return made
  end

  local function point(curve, text)
    local made = ffi.gc(ffi.new("mbedtls_ecp_point"), C.mbedtls_ecp_point_free)
    C.mbedtls_ecp_point_init(made)
    if text then
      local bytes = unhex(text)
      assert.equal(0, C.mbedtls_ecp_point_read_binary(curve, made, bytes, #bytes))
    end
    return made
  end

  local function shared(curve, theirs, secret)
    local z = number()
    local err =
      C.mbedtls_ecdh_compute_shared(curve, z, theirs, secret, C.mbedtls_ctr_drbg_random, random)
    return err, z
  end

  for name, case in pairs(EXCHANGES) do
    it("agree upon a secret as in " .. name, function()
      local curve = group(case.group)
      local secret = number(case.secret)
      local err, z = shared(curve, point(curve, case.theirs), secret)
      assert.equal(0, err)
      assert.equal(case.shared, text_of(z, #case.shared / 2))
      err, z = shared(curve, curve.G, secret)
      assert.equal(0, err)
      assert.equal(case.own, text_of(z, #case.own / 2))
    end)
  end

  it("agree upon no secret with a point that is not on the curve or of small order", function()
    local curve = group(SECP256R1)
    local off = point(curve, "04" .. ("0"):rep(63) .. "1" .. ("0"):rep(63) .. "1")
    assert.is_true((shared(curve, off, number("5"))) < 0)
    curve = group(X25519)
    local secret = number(EXCHANGES["RFC 7748, 6.1"].secret)
    assert.is_true((shared(curve, point(curve, ("00"):rep(32)), secret)) < 0)
    assert.is_true((shared(curve, point(curve, "01" .. ("00"):rep(31)), secret)) < 0)
  end)

  local function verify(case, curve, hash, r, s)
    return C.mbedtls_ecdsa_verify(curve, hash, #hash, point(curve, case.public), r, s)
  end

  for name, case in pairs(SIGNATURES) do
    it("accept the signatures of RFC 6979, and no others: " .. name, function()
      local curve, hash = group(case.group), unhex(case.hash)
      local r, s = number(case.r), number(case.s)
      assert.equal(0, verify(case, curve, hash, r, s))
      assert.is_true(verify(case, curve, "\0" .. hash:sub(2), r, s) < 0)
      assert.is_true(verify(case, curve, hash, s, r) < 0)
      assert.is_true(verify(case, curve, hash, number("0"), s) < 0)
      assert.is_true(verify(case, curve, hash, r, number("0")) < 0)
      assert.is_true(verify(case, curve, hash, number("-" .. case.r), s) < 0)
      assert.is_true(verify(case, curve, hash, r, curve.N) < 0)
    end)

    it("sign so that it is accepted, and only with a key in range: " .. name, function()
      local curve, hash, r, s = group(case.group), unhex(case.hash), number(), number()
      local function sign(secret)
        return C.mbedtls_ecdsa_sign(
          curve, r, s, secret, hash, #hash, C.mbedtls_ctr_drbg_random, random)
      end
      for _ = 1, 20 do
        assert.equal(0, sign(number(case.secret)))
        assert.equal(0, verify(case, curve, hash, r, s))
      end
      assert.is_true(sign(number("0")) < 0)
      assert.is_true(sign(curve.N) < 0)
    end)
  end

  -- What openssl says of our signature of the hash with the key of a certificate made by it.
  local function judged(made, hash, pk)
    local signature, length = ffi.new("uint8_t[512]"), ffi.new("size_t[1]")
    local err = C.mbedtls_pk_sign(
      pk, SHA256, hash, #hash, signature, 512, length, C.mbedtls_ctr_drbg_random, random)
    assert.equal(0, err)
    assert.equal(0, C.mbedtls_pk_verify(pk, SHA256, hash, #hash, signature, length[0]))
    local signed = ffi.string(signature, tonumber(length[0]))
    local hash_path = certificates.write("hash", hash)
    local signature_path = certificates.write("signature", signed)
    local command = "LD_PRELOAD= openssl pkeyutl -verify -inkey %s -in %s -sigfile %s "
      .. "-pkeyopt digest:sha256 2>&1"
    local pipe = assert(io.popen(command:format(made.key_path, hash_path, signature_path)))
    local text = pipe:read("*a")
    pipe:close()
    return text
  end

  for _, kind in ipairs({ "ec", "rsa" }) do
    it("sign what openssl accepts, with several keys in turn: " .. kind, function()
      local keys = {}
      for i = 1, 3 do
        local made = certificates.make("primitive-" .. kind .. i, { key = kind })
        local pk = ffi.gc(ffi.new("mbedtls_pk_context"), C.mbedtls_pk_free)
        C.mbedtls_pk_init(pk)
        local pem = certificates.read(made.key_path)
        local err = C.mbedtls_pk_parse_key(
          pk, pem, #pem + 1, nil, 0, C.mbedtls_ctr_drbg_random, random)
        assert.equal(0, err)
        keys[i] = { made = made, pk = pk }
      end
      for round, index in ipairs({ 1, 2, 1, 3, 3, 2 }) do
        local hash = ("%032d"):format(round)
        local text = judged(keys[index].made, hash, keys[index].pk)
        assert.matches("Signature Verified Successfully", text, 1, true)
      end
    end)
  end
end)
