# SPDX-License-Identifier: Apache-2.0
#
# A backend of the library websockets. What it does is named by the path. Prints `port N`.
import asyncio
import contextlib
import http
import json

import websockets

closed = []


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def speak_first(socket):
    await socket.send("welcome")
    await echo(socket)


async def close(socket):
    await socket.close(4321, "enough")


async def headers(socket):
    await socket.send(json.dumps({name.lower(): value for name, value in socket.request_headers.raw_items()}))


async def in_pieces(socket):
    """What comes goes back as one message in frames of 1000."""
    async for message in socket:
        await socket.send([message[at : at + 1000] for at in range(0, len(message), 1000)])


async def last_close(socket):
    """How the last connection to another path ended."""
    await socket.send(json.dumps(closed[-1] if closed else None))


async def wait(socket):
    await socket.wait_closed()


PATHS = {
    "/echo": echo,
    "/first": speak_first,
    "/close": close,
    "/headers": headers,
    "/pieces": in_pieces,
    "/last": last_close,
    "/wait": wait,
}


async def serve_one(socket):
    with contextlib.suppress(websockets.ConnectionClosed):
        await PATHS[socket.path](socket)
    await socket.wait_closed()
    if socket.path != "/last":
        closed.append([socket.close_code, socket.close_reason])


async def refuse(path, _):
    if path not in PATHS:
        return http.HTTPStatus.FORBIDDEN, [("X-Why", "no such path")], b"not here\n"
    return None


async def main():
    options = {"max_size": None, "subprotocols": ["chat"], "process_request": refuse, "ping_interval": None}
    async with websockets.serve(serve_one, "127.0.0.1", 0, **options) as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
