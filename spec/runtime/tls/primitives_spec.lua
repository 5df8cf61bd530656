-- SPDX-License-Identifier: Apache-2.0
-- mbedTLS's AES-GCM and SHA-2 by known answers: with libcrypto behind them or without, they give
-- the same.
local ffi = require("ffi")

local core = require("spec.support.core")

core.cdef({ "mbedtls/gcm.h", "mbedtls/sha256.h", "mbedtls/sha512.h" })
local C = core.C

jit.off(true, true)

local ENCRYPT, DECRYPT, AES = 1, 0, 2
local AUTH_FAILED, BAD_INPUT = -0x12, -0x14

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

local KEY = "feffe9928665731c6d6a8f9467308308"
local PLAIN = unhex(
  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    .. "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
local ADDED = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")

-- Test cases 4, 5, 6 and 16 of McGrew and Viega's specification of GCM.
local GCM = {
  {
    name = "128 bits, IV of 12",
    key = KEY,
    iv = "cafebabefacedbaddecaf888",
    cipher = "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
      .. "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
    tag = "5bc94fbc3221a5db94fae95ae7121a47",
  },
  {
    name = "128 bits, IV of 8",
    key = KEY,
    iv = "cafebabefacedbad",
    cipher = "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423"
      .. "73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598",
    tag = "3612d2e79e3b0785561be14aaca2fccb",
  },
  {
    name = "128 bits, IV of 60",
    key = KEY,
    iv = "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728"
      .. "c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b",
    cipher = "8ce24998625615b603a033aca13fb894be9112a5c3a211a8ba262a3cca7e2ca7"
      .. "01e4a9a4fba43c90ccdcb281d48c7c6fd62875d2aca417034c34aee5",
    tag = "619cc5aefffe0bfa462af43c1699d050",
  },
  {
    name = "256 bits, IV of 12",
    key = KEY .. KEY,
    iv = "cafebabefacedbaddecaf888",
    cipher = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
      .. "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
    tag = "76fc6ece0f4e1768cddf8853bb2d551b",
  },
}

describe("AES-GCM of mbedTLS", function()
  local ctx, work, tag, done

  before_each(function()
    ctx = ffi.new("mbedtls_gcm_context")
    C.mbedtls_gcm_init(ctx)
    work, tag, done = ffi.new("uint8_t[?]", #PLAIN), ffi.new("uint8_t[16]"), ffi.new("size_t[1]")
  end)

  after_each(function()
    C.mbedtls_gcm_free(ctx)
  end)

  local function set_key(key)
    local bytes = unhex(key)
    assert.equal(0, C.mbedtls_gcm_setkey(ctx, AES, bytes, #bytes * 8))
  end

  local function in_place(mode, text, iv, tag_bytes)
    ffi.copy(work, text, #text)
    local err = C.mbedtls_gcm_crypt_and_tag(
      ctx, mode, #text, iv, #iv, ADDED, #ADDED, work, work, tag_bytes, tag)
    assert.equal(0, err)
    return ffi.string(work, #text), ffi.string(tag, tag_bytes)
  end

  local function opened(cipher, iv, expected)
    ffi.copy(work, cipher, #cipher)
    local err = C.mbedtls_gcm_auth_decrypt(
      ctx, #cipher, iv, #iv, ADDED, #ADDED, expected, #expected, work, work)
    return err, ffi.string(work, #cipher)
  end

  for _, case in ipairs(GCM) do
    local iv, cipher, whole = unhex(case.iv), unhex(case.cipher), unhex(case.tag)

    it("seals and opens in place: " .. case.name, function()
      set_key(case.key)
      for bytes = 4, 16 do
        local text, short = in_place(ENCRYPT, PLAIN, iv, bytes)
        assert.equal(case.cipher, hex(text))
        assert.equal(hex(whole:sub(1, bytes)), hex(short))
        local err, back = opened(cipher, iv, whole:sub(1, bytes))
        assert.equal(0, err)
        assert.equal(hex(PLAIN), hex(back))
      end
    end)

    it("makes the tag of what it decrypts: " .. case.name, function()
      set_key(case.key)
      local text, made = in_place(DECRYPT, cipher, iv, 16)
      assert.equal(hex(PLAIN), hex(text))
      assert.equal(case.tag, hex(made))
    end)

    it("works in pieces of any size, both ways: " .. case.name, function()
      set_key(case.key)
      for _, way in ipairs({ { ENCRYPT, PLAIN, cipher }, { DECRYPT, cipher, PLAIN } }) do
        for size = 1, 33 do
          assert.equal(0, C.mbedtls_gcm_starts(ctx, way[1], iv, #iv))
          assert.equal(0, C.mbedtls_gcm_update_ad(ctx, ADDED, 7))
          assert.equal(0, C.mbedtls_gcm_update_ad(ctx, ADDED:sub(8), #ADDED - 7))
          local out = {}
          for at = 1, #PLAIN, size do
            local piece = way[2]:sub(at, at + size - 1)
            local err = C.mbedtls_gcm_update(ctx, piece, #piece, work, #piece, done)
            assert.equal(0, err)
            out[#out + 1] = ffi.string(work, tonumber(done[0]))
          end
          assert.equal(0, C.mbedtls_gcm_finish(ctx, nil, 0, done, tag, 16))
          assert.equal(hex(way[3]), hex(table.concat(out)))
          assert.equal(case.tag, hex(ffi.string(tag, 16)))
        end
      end
    end)
  end

  it("takes one key after another, and IVs of several lengths", function()
    for _, index in ipairs({ 1, 3, 4, 2, 1, 4 }) do
      local case = GCM[index]
      set_key(case.key)
      for _, again in ipairs({ index, index == 4 and 4 or 3, index }) do
        local text, made = in_place(ENCRYPT, PLAIN, unhex(GCM[again].iv), 16)
        assert.equal(GCM[again].cipher, hex(text))
        assert.equal(GCM[again].tag, hex(made))
        assert.equal(0, (opened(text, unhex(GCM[again].iv), made)))
      end
    end
  end)

  it("refuses what was changed, shows none of it, and works on", function()
    local case = GCM[1]
    local iv, cipher, whole = unhex(case.iv), unhex(case.cipher), unhex(case.tag)
    set_key(case.key)
    for _, changed in ipairs({
      { "\0" .. cipher:sub(2), iv, whole },
      { cipher, "\0" .. iv:sub(2), whole },
      { cipher, iv, whole:sub(1, 15) .. "\0" },
      { cipher, iv, "\0" .. whole:sub(2, 4) },
    }) do
      local err, text = opened(unpack(changed))
      assert.equal(AUTH_FAILED, err)
      assert.equal(("\0"):rep(#cipher), text)
      assert.equal(0, (opened(cipher, iv, whole)))
    end
  end)

  it("knows messages without text and without added data", function()
    set_key(("00"):rep(16))
    local iv = ("\0"):rep(12)
    assert.equal(0, C.mbedtls_gcm_crypt_and_tag(ctx, ENCRYPT, 0, iv, 12, nil, 0, nil, nil, 16, tag))
    assert.equal("58e2fccefa7e3061367f1d57a4e7455a", hex(ffi.string(tag, 16)))
    assert.equal(0, C.mbedtls_gcm_auth_decrypt(ctx, 0, iv, 12, nil, 0, tag, 16, nil, nil))
    tag[0] = 0
    local err = C.mbedtls_gcm_auth_decrypt(ctx, 0, iv, 12, nil, 0, tag, 16, nil, nil)
    assert.equal(AUTH_FAILED, err)
  end)

  it("refuses tags that are too short, an empty IV and a key of another length", function()
    set_key(KEY)
    local iv = ("\0"):rep(12)
    local function seal(iv_bytes, tag_bytes)
      return C.mbedtls_gcm_crypt_and_tag(
        ctx, ENCRYPT, 4, iv, iv_bytes, nil, 0, work, work, tag_bytes, tag)
    end
    assert.equal(BAD_INPUT, seal(12, 3))
    assert.equal(BAD_INPUT, seal(12, 17))
    assert.equal(BAD_INPUT, seal(0, 16))
    assert.equal(0, seal(12, 16))
    assert.is_true(C.mbedtls_gcm_setkey(ctx, AES, KEY, 136) < 0)
  end)
end)

describe("SHA-2 of mbedTLS", function()
  -- FIPS 180-4, the messages "abc" and of 112 bytes.
  local LONG = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
    .. "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"

  local function digest(bits, text)
    local family = bits <= 256 and "256" or "512"
    local function call(name, ...)
      return C["mbedtls_sha" .. family .. "_" .. name](...)
    end
    local ctx = ffi.new("mbedtls_sha" .. family .. "_context")
    call("init", ctx)
    assert.equal(0, call("starts", ctx, (bits == 224 or bits == 384) and 1 or 0))
    assert.equal(0, call("update", ctx, text, 3))
    local copy = ffi.new("mbedtls_sha" .. family .. "_context")
    call("init", copy)
    call("clone", copy, ctx)
    assert.equal(0, call("update", ctx, "other", 5))
    assert.equal(0, call("update", copy, text:sub(4), #text - 3))
    local out = ffi.new("uint8_t[65]", ("\xaa"):rep(64))
    assert.equal(0, call("finish", copy, out))
    assert.equal(0xaa, bits < 512 and out[bits / 8] or 0xaa)
    call("free", copy)
    call("free", ctx)
    return hex(ffi.string(out, bits / 8))
  end

  for bits, answers in pairs({
    [224] = {
      "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
      "c97ca9a559850ce97a04a96def6d99a9e0e0e2ab14e6b8df265fc0b3",
    },
    [256] = {
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
    },
    [384] = {
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
        .. "8086072ba1e7cc2358baeca134c825a7",
      "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712"
        .. "fcc7c71a557e2db966c3e9fa91746039",
    },
    [512] = {
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        .. "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
      "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
        .. "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909",
    },
  }) do
    it("gives the digests of FIPS 180-4, from a copy too: " .. bits, function()
      assert.equal(answers[1], digest(bits, "abc"))
      assert.equal(answers[2], digest(bits, LONG))
    end)
  end
end)
