# SPDX-License-Identifier: Apache-2.0
#
# A backend of gRPC's own library. Messages are bytes; what each method does stands at it. Prints `port N`.
import argparse
import concurrent.futures
import threading

import grpc

flags = argparse.ArgumentParser()
flags.add_argument("--name", default="one")
flags.add_argument("--cert")
flags.add_argument("--key")
flags.add_argument("--option", action="append", default=[], help="NAME=NUMBER, of a channel")
flags = flags.parse_args()

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


class State:
    """What methods leave behind for others."""

    health = SERVING
    calls = 0
    waiting = 0
    lock = threading.Lock()


def count(step, what):
    with State.lock:
        setattr(State, what, getattr(State, what) + step)


def unary(request, context):
    """The request, and its metadata: x-first as initial, the rest as trailing."""
    count(1, "calls")
    metadata = context.invocation_metadata()
    first = [(key, value) for key, value in metadata if key == "x-first"]
    last = [(key, value) for key, value in metadata if key.startswith("x-last")]
    context.send_initial_metadata((("x-server", flags.name), *first))
    context.set_trailing_metadata(tuple(last))
    return request


def fail(request, context):
    """Trailers only, with the code and the text that the request names."""
    code, text = request.decode().split(" ", 1)
    context.set_trailing_metadata((("x-last", "words"),))
    context.abort(getattr(grpc.StatusCode, code), text)


def stream(request, context):
    """As many messages as the request says, of a size, then perhaps a failure."""
    times, size, *failure = request.decode().split(" ")
    for i in range(int(times)):
        yield b"%d " % i + b"x" * int(size)
    if failure:
        context.abort(getattr(grpc.StatusCode, failure[0]), "behind messages")


def collect(requests, context):
    """How many messages and bytes came."""
    lengths = [len(message) for message in requests]
    return b"%d %d" % (len(lengths), sum(lengths))


def echo(requests, context):
    """Each message as it comes."""
    for message in requests:
        yield message


def remaining(request, context):
    """The time that is left."""
    return b"%f" % (context.time_remaining() or -1)


def hang(request, context):
    """Says that it is there, then waits for the end of the call."""
    over = threading.Event()
    count(1, "waiting")
    if not context.add_callback(over.set):
        over.set()
    context.send_initial_metadata((("x-server", flags.name),))
    over.wait(60)
    count(-1, "waiting")
    return b""


def check(request, context):
    """Of gRPC's health checking protocol."""
    return State.health


def change_health(request, context):
    State.health = SERVING if request == b"SERVING" else NOT_SERVING
    return b""


def tell(request, context):
    """One of the counters."""
    return b"%d" % getattr(State, request.decode())


HANDLERS = {
    "test.Echo": {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
        "Collect": grpc.stream_unary_rpc_method_handler(collect),
        "Echo": grpc.stream_stream_rpc_method_handler(echo),
        "Remaining": grpc.unary_unary_rpc_method_handler(remaining),
        "Hang": grpc.unary_unary_rpc_method_handler(hang),
    },
    "test.Control": {
        "Health": grpc.unary_unary_rpc_method_handler(change_health),
        "Tell": grpc.unary_unary_rpc_method_handler(tell),
    },
    "grpc.health.v1.Health": {"Check": grpc.unary_unary_rpc_method_handler(check)},
}

options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)]
for option in flags.option:
    name, value = option.split("=")
    options.append((name, int(value)))
server = grpc.server(concurrent.futures.ThreadPoolExecutor(64), options=options)
server.add_generic_rpc_handlers(
    [grpc.method_handlers_generic_handler(service, methods) for service, methods in HANDLERS.items()]
)
if flags.cert:
    with open(flags.key, "rb") as key, open(flags.cert, "rb") as cert:
        pair = (key.read(), cert.read())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
print("port", port, flush=True)
server.wait_for_termination()
