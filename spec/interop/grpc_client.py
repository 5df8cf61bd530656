# SPDX-License-Identifier: Apache-2.0
#
# Calls of gRPC's own library. Prints `ok NAME` or `failed NAME: WHY` for each case that is asked for.
import argparse
import concurrent.futures
import contextlib
import threading
import time

import grpc

flags = argparse.ArgumentParser()
flags.add_argument("address")
flags.add_argument("cases", nargs="+", metavar="CASE[=ARGUMENT]")
flags.add_argument("--ca")
flags.add_argument("--authority", default="a.test")
flags = flags.parse_args()

PATIENCE = 10
CODE = grpc.StatusCode


class Channel:
    """One connection of its own."""

    def __init__(self):
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.default_authority", flags.authority),
        ]
        if flags.ca:
            with open(flags.ca, "rb") as ca:
                credentials = grpc.ssl_channel_credentials(ca.read())
            options.append(("grpc.ssl_target_name_override", flags.authority))
            self.channel = grpc.secure_channel(flags.address, credentials, options)
        else:
            self.channel = grpc.insecure_channel(flags.address, options)

    def __call__(self, method, kind="unary_unary", service="test.Echo"):
        return getattr(self.channel, kind)(f"/{service}/{method}")


def expect(wanted, found):
    if wanted != found:
        raise AssertionError(f"wanted {wanted!r:.200}, found {found!r:.200}")


def fails(code, call, *args, **kwargs):
    """Ends with this code; returns the failure."""
    try:
        call(*args, timeout=kwargs.pop("timeout", PATIENCE), **kwargs)
    except grpc.RpcError as failure:
        expect(code, failure.code())
        return failure
    raise AssertionError(f"{code} did not come")


def until(condition):
    limit = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError("waited in vain")
        time.sleep(0.01)


def unary(call):
    for size in (0, 1, 16379, 16384, 100000):
        expect(b"m" * size, call("Unary")(b"m" * size, timeout=PATIENCE))


def metadata(call):
    sent = [("x-first", "a, b"), ("x-last", "c"), ("x-last", "d"), ("x-last-bin", bytes(range(256)))]
    _, answer = call("Unary").with_call(b"", metadata=sent, timeout=PATIENCE)
    first = [pair for pair in answer.initial_metadata() if pair[0] == "x-first"]
    expect([("x-first", "a, b")], first)
    expect(sent[1:], [tuple(pair) for pair in answer.trailing_metadata() if pair[0].startswith("x-")])


def trailers_only(call):
    for code in CODE:
        if code is not CODE.OK:
            failure = fails(code, call("Fail"), f"{code.name} why: 100 % ü\n".encode())
            expect("why: 100 % ü\n", failure.details())
            expect(["words"], [value for key, value in failure.trailing_metadata() if key == "x-last"])


def unimplemented(call):
    fails(CODE.UNIMPLEMENTED, call("Nothing"), b"")


def server_stream(call):
    messages = list(call("Stream", "unary_stream")(b"300 1000", timeout=PATIENCE))
    expect([b"%d " % i + b"x" * 1000 for i in range(300)], messages)
    expect([], list(call("Stream", "unary_stream")(b"0 0", timeout=PATIENCE)))


def failure_behind_messages(call):
    seen = []
    try:
        for message in call("Stream", "unary_stream")(b"3 10 RESOURCE_EXHAUSTED", timeout=PATIENCE):
            seen.append(message)
    except grpc.RpcError as failure:
        expect((CODE.RESOURCE_EXHAUSTED, "behind messages"), (failure.code(), failure.details()))
    expect(3, len(seen))


def client_stream(call):
    answer = call("Collect", "stream_unary")((b"y" * i for i in range(500)), timeout=PATIENCE)
    expect(b"500 %d" % sum(range(500)), answer)
    expect(b"0 0", call("Collect", "stream_unary")(iter(()), timeout=PATIENCE))


def bidi_stream(call):
    """Each message is sent when the one before has come back."""
    back = threading.Semaphore(1)

    def messages():
        for i in range(100):
            if not back.acquire(timeout=PATIENCE):
                return
            yield b"%d" % i

    seen = []
    for message in call("Echo", "stream_stream")(messages(), timeout=PATIENCE):
        seen.append(int(message))
        back.release()
    expect(list(range(100)), seen)


def large_messages(call):
    large = bytes(range(256)) * 32768  # 8 MiB
    expect(large, call("Unary")(large, timeout=PATIENCE))
    messages = list(call("Echo", "stream_stream")(iter([large] * 3), timeout=PATIENCE))
    expect([True] * 3, [message == large for message in messages])


def compressed(call):
    text = b"again " * 50000
    expect(text, call("Unary")(text, timeout=PATIENCE, compression=grpc.Compression.Gzip))


def deadline(call):
    """The backend is told of it, and what goes over it ends there as well."""
    left = float(call("Remaining")(b"", timeout=7))
    if not 5 < left < 7.5:
        raise AssertionError(f"{left} s are left of 7")
    fails(CODE.DEADLINE_EXCEEDED, call("Hang"), b"", timeout=0.3)
    until(lambda: call("Tell", service="test.Control")(b"waiting", timeout=PATIENCE) == b"0")


def cancelled(call):
    """The backend gets to know of it, and the channel goes on."""
    futures = [call("Hang").future(b"", timeout=PATIENCE) for _ in range(10)]
    until(lambda: call("Tell", service="test.Control")(b"waiting", timeout=PATIENCE) == b"10")
    for future in futures:
        future.cancel()
    until(lambda: call("Tell", service="test.Control")(b"waiting", timeout=PATIENCE) == b"0")
    unary(call)


def cancelled_stream(call):
    """One side of an endless exchange goes."""
    over = threading.Event()

    def messages():
        yield b"first"
        over.wait(PATIENCE)

    answers = call("Echo", "stream_stream")(messages(), timeout=PATIENCE)
    expect(b"first", next(answers))
    answers.cancel()
    over.set()
    unary(call)


def many_calls(call):
    """More than a connection may carry one after the other, 100 at a time."""
    method = call("Unary")
    with concurrent.futures.ThreadPoolExecutor(100) as threads:
        answers = threads.map(lambda i: method(b"%d" % i, timeout=PATIENCE), range(1500))
        expect([b"%d" % i for i in range(1500)], list(answers))


def code(call, name):
    """A call ends with that code."""
    fails(CODE[name], call("Unary"), b"")


def too_large(call):
    """The gateway takes less than that."""
    fails(CODE.RESOURCE_EXHAUSTED, call("Unary"), b"x" * 100000)


def hanging(call, name):
    """A call that has begun ends with that code."""
    fails(CODE[name], call("Hang"), b"")


def waiting(call, number):
    """So many calls hang at the server."""
    expect(number.encode(), call("Tell", service="test.Control")(b"waiting", timeout=PATIENCE))


def servers(call, wanted):
    """Calls are answered by these servers, and by no other."""
    seen = set()
    for _ in range(20):
        _, answer = call("Unary").with_call(b"", timeout=PATIENCE)
        seen.update(value for key, value in answer.initial_metadata() if key == "x-server")
    expect(sorted(wanted.split(",")), sorted(seen))


def health(call, status):
    """The server says this of its health from now on."""
    call("Health", service="test.Control")(status.encode(), timeout=PATIENCE)


for case in flags.cases:
    name, _, argument = case.partition("=")
    call = Channel()
    with contextlib.closing(call.channel):
        try:
            globals()[name](call, *([argument] if argument else []))
            print("ok", name, flush=True)
        except Exception as failure:  # whatever it is, the other cases run
            print(f"failed {name}: {type(failure).__name__} {failure}".replace("\n", " "), flush=True)
