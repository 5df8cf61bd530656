# SPDX-License-Identifier: Apache-2.0
#
# Clients of the library websockets. Prints `ok NAME` or `failed NAME: WHY` for each case.
import argparse
import asyncio
import json
import os
import ssl

import websockets

flags = argparse.ArgumentParser()
flags.add_argument("port")
flags.add_argument("cases", nargs="+")
flags.add_argument("--ca")
flags = flags.parse_args()

PATIENCE = 10


def connect(path, **options):
    options = {"max_size": None, "ping_interval": None, "open_timeout": PATIENCE, **options}
    if flags.ca:
        options.update(ssl=ssl.create_default_context(cafile=flags.ca), server_hostname="a.test")
    scheme = "wss" if flags.ca else "ws"
    return websockets.connect(f"{scheme}://a.test:{flags.port}{path}", host="127.0.0.1", **options)


def expect(wanted, found):
    if wanted != found:
        raise AssertionError(f"wanted {wanted!r:.200}, found {found!r:.200}")


async def there_and_back(socket, message):
    await socket.send(message)
    expect(message, await socket.recv())


async def text():
    async with connect("/echo") as socket:
        for message in ("", "a", "ä€𐍈" * 50, "x" * 125, "x" * 126, "x" * 65535, "x" * 65536):
            await there_and_back(socket, message)


async def binary():
    async with connect("/echo") as socket:
        for size in (0, 1, 125, 126, 65535, 65536):
            await there_and_back(socket, os.urandom(size))


async def large():
    for compression in (None, "deflate"):
        async with connect("/echo", compression=compression) as socket:
            for _ in range(3):
                await there_and_back(socket, os.urandom(1 << 20))


async def fragments():
    """In both directions a message comes in many frames."""
    async with connect("/pieces", compression=None) as socket:
        await socket.send(["piece %d " % i * 100 for i in range(50)])
        expect("".join("piece %d " % i * 100 for i in range(50)), await socket.recv())


async def both_at_once():
    """Much is under way on each side before the other reads."""
    messages = [os.urandom(50000) for _ in range(60)]
    async with connect("/echo", compression=None) as socket:
        sender = asyncio.create_task(send_all(socket, messages))
        for message in messages:
            expect(message, await socket.recv())
        await sender


async def send_all(socket, messages):
    for message in messages:
        await socket.send(message)


async def server_first():
    async with connect("/first") as socket:
        expect("welcome", await socket.recv())
        await there_and_back(socket, "thanks")


async def pings():
    async with connect("/echo") as socket:
        for _ in range(20):
            await asyncio.wait_for(await socket.ping(), PATIENCE)


async def subprotocol():
    async with connect("/echo", subprotocols=["other", "chat"]) as socket:
        expect("chat", socket.subprotocol)


async def request_headers():
    async with connect("/headers", extra_headers={"X-Own": "value"}) as socket:
        seen = json.loads(await socket.recv())
        expect("value", seen["x-own"])
        expect(f"a.test:{flags.port}", seen["host"])
        expect("127.0.0.1", seen["x-forwarded-for"])


async def closed_by_server():
    async with connect("/close") as socket:
        await socket.wait_closed()
        expect((4321, "enough"), (socket.close_code, socket.close_reason))


async def server_knows(*wanted):
    """The server learns how the last connection ended when that is over for the client."""
    for _ in range(100 * PATIENCE):
        async with connect("/last") as socket:
            found = json.loads(await socket.recv())
        if found == list(wanted):
            return
        await asyncio.sleep(0.01)
    expect(list(wanted), found)


async def closed_by_client():
    async with connect("/echo") as socket:
        await socket.close(4999, "bye")
    await server_knows(4999, "bye")


async def gone():
    """The backend gets to know of a client that just goes."""
    socket = await connect("/echo")
    await there_and_back(socket, "hello")
    socket.transport.abort()
    await server_knows(1006, "")


async def refused():
    """An answer that is no handshake is an ordinary answer."""
    try:
        async with connect("/nothing"):
            raise AssertionError("this is open")
    except websockets.InvalidStatusCode as failure:
        expect((403, "no such path"), (failure.status_code, failure.headers["X-Why"]))


async def many():
    async def one(i):
        async with connect("/echo") as socket:
            for j in range(10):
                await there_and_back(socket, f"{i} {j}")

    await asyncio.gather(*(one(i) for i in range(100)))


async def idle():
    """The gateway ends what is idle, and nothing else."""
    async with connect("/wait") as socket, connect("/echo") as busy:
        while socket.open:
            await there_and_back(busy, "still here")
            await asyncio.sleep(0.05)
        expect(1006, socket.close_code)
        await there_and_back(busy, "and here")


for name in flags.cases:
    try:
        asyncio.run(asyncio.wait_for(globals()[name](), 2 * PATIENCE))
        print("ok", name, flush=True)
    except Exception as failure:  # whatever it is, the other cases run
        print(f"failed {name}: {type(failure).__name__} {failure}".replace("\n", " "), flush=True)
