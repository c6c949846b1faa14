"""A back end that tells what reached it: `python back_end.py PORT [ADDRESS]`."""

from __future__ import annotations

import asyncio
import hashlib
import sys

from aiohttp import WSMsgType, web

routes = web.RouteTableDef()
seen: dict[str, object] = {}


@routes.route("*", "/{path:(echo|services/.*|%2F.*)}")
async def echo(request: web.Request) -> web.Response:
    """Tell the request."""
    digest, size = hashlib.sha256(), 0
    async for chunk in request.content.iter_any():
        digest.update(chunk)
        size += len(chunk)
    headers = [[name, value] for name, value in request.headers.items()]
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "headers": headers,
            "size": size,
            "sha256": digest.hexdigest(),
        }
    )


@routes.get("/large")
async def large(request: web.Request) -> web.StreamResponse:
    """Send this many bytes, with or without saying how many."""
    size = int(request.query["size"])
    response = web.StreamResponse()
    if "chunked" not in request.query:
        response.content_length = size
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    piece = b"x" * 65536
    for start in range(0, size, len(piece)):
        await response.write(piece[: size - start])
    return response


@routes.get("/breaks")
async def breaks(request: web.Request) -> web.StreamResponse:
    """End in the middle of an answer."""
    response = web.StreamResponse()
    if "chunked" not in request.query:
        response.content_length = 1000
    await response.prepare(request)
    await response.write(b"half")
    assert request.transport is not None
    request.transport.abort()
    return response


@routes.get("/headers")
async def headers(request: web.Request) -> web.Response:
    """Send headers that are not for the client, and some that are."""
    response = web.Response(status=int(request.query.get("status", 200)))
    response.headers.add("Set-Cookie", "theirs=1; Path=/")
    response.headers.add("X-Twice", "one")
    response.headers.add("X-Twice", "two")
    response.headers["Connection"] = "X-Secret"
    response.headers["X-Secret"] = "yes"
    response.headers["ETag"] = '"abc"'
    if where := request.query.get("to"):
        response.headers["Location"] = where
    return response


@routes.post("/refuses")
async def refuses(request: web.Request) -> web.Response:
    """Answer before the body has been read."""
    response = web.Response(status=507, text="no room\n")
    response.force_close()
    return response


@routes.get("/sleeps")
async def sleeps(request: web.Request) -> web.Response:
    """Answer late."""
    await asyncio.sleep(float(request.query["seconds"]))
    return web.Response(text="awake\n")


@routes.post("/watched")
async def watched(request: web.Request) -> web.Response:
    """Record whether the whole body has arrived."""
    key = request.query["key"]
    seen[key] = "begun"
    try:
        async for _ in request.content.iter_any():
            pass
        seen[key] = "whole"
    except BaseException as error:
        seen[key] = f"broken: {type(error).__name__}"
        raise
    return web.Response()


@routes.get("/watched")
async def what_was_seen(request: web.Request) -> web.Response:
    """Tell what was recorded."""
    return web.json_response(seen.get(request.query["key"]))


@routes.get("/socket")
async def socket(request: web.Request) -> web.WebSocketResponse:
    """Echo messages; close with 4001 when asked to."""
    response = web.WebSocketResponse(protocols=("second",), max_msg_size=0)
    await response.prepare(request)
    await response.send_json([[name, value] for name, value in request.headers.items()])
    async for message in response:
        if message.type is WSMsgType.TEXT and message.data == "close":
            await response.close(code=4001)
        elif message.type is WSMsgType.TEXT:
            await response.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await response.send_bytes(message.data)
    seen["socket"] = response.close_code
    return response


if __name__ == "__main__":
    app = web.Application(client_max_size=1 << 40)
    app.add_routes(routes)
    host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
    web.run_app(app, host=host, port=int(sys.argv[1]), print=None, access_log=None)
