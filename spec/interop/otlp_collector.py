# SPDX-License-Identifier: Apache-2.0
#
# A collector of gRPC's own library and OpenTelemetry's own messages. Prints `port N`, then a line of JSON for each call:
# the message as Protocol Buffers have it in JSON. The first calls fail, as the flags say.
import argparse
import concurrent.futures
import json
import threading

import grpc
from google.protobuf import any_pb2, duration_pb2, json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service

flags = argparse.ArgumentParser()
flags.add_argument("--fail", action="append", default=[], help="CODE[=SECONDS], of a call; in turn")
flags.add_argument("--reject", type=int, default=0, help="so many spans of each message")
flags = flags.parse_args()

failures = list(flags.fail)
lock = threading.Lock()


def retry_info(seconds):
    """A google.rpc.Status with RetryInfo: its own package has its class, these are its fields."""
    delay = duration_pb2.Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9)).SerializeToString()
    info = any_pb2.Any(
        type_url="type.googleapis.com/google.rpc.RetryInfo", value=bytes((0x0A, len(delay))) + delay
    ).SerializeToString()
    return bytes((0x08, 8, 0x1A, len(info))) + info


def export(request, context):
    with lock:
        failure = failures.pop(0) if failures else None
        message = json_format.MessageToDict(request, preserving_proto_field_name=True)
        print(json.dumps({"failed": failure, "message": message}), flush=True)
    if failure:
        code, _, seconds = failure.partition("=")
        if seconds:
            context.set_trailing_metadata((("grpc-status-details-bin", retry_info(float(seconds))),))
        context.abort(getattr(grpc.StatusCode, code), "as the flags say")
    answer = service.ExportTraceServiceResponse()
    if flags.reject:
        answer.partial_success.rejected_spans = flags.reject
        answer.partial_success.error_message = "too many"
    return answer


handler = grpc.unary_unary_rpc_method_handler(
    export,
    request_deserializer=service.ExportTraceServiceRequest.FromString,
    response_serializer=service.ExportTraceServiceResponse.SerializeToString,
)
name = service.DESCRIPTOR.services_by_name["TraceService"].full_name
server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Export": handler}),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print("port", port, flush=True)
server.wait_for_termination()
