"""A company that pays after 200 ms, as a server of its own; one call in a hundred is never answered and one ends with an error, half of
each after the payment was made. `GET /books` says what it really paid."""

from __future__ import annotations

import asyncio
import json
import random
import sys

DELAY, SILENCE = 0.2, 60.0
TROUBLE = 0.01


class Books:
    """What was paid: by key, the sum, and how often it was asked to pay."""

    def __init__(self) -> None:
        self.paid: dict[str, int] = {}
        self.calls = self.silent = self.errors = 0
        self.dice = random.Random(7)


async def answer(books: Books, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: POST /orders, GET /orders/<key>, GET /books."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            verb, path, _version = head.split(b"\r\n", 1)[0].decode().split(" ")
            length = next(
                (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0
            )
            body = await reader.readexactly(length)
            status, found = await _done(books, verb, path, body)
            if not status:
                await asyncio.sleep(SILENCE)
                break
            text = json.dumps(found).encode()
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _done(books: Books, verb: str, path: str, body: bytes) -> tuple[int, object]:
    if path == "/books":
        return 200, {"paid": books.paid, "calls": books.calls, "silent": books.silent, "errors": books.errors}
    await asyncio.sleep(DELAY)
    if verb == "GET":
        key = path.rpartition("/")[2]
        return (200, {"minor": books.paid[key]}) if key in books.paid else (404, {})
    books.calls += 1
    order, dice, before = json.loads(body), books.dice.random(), books.dice.random() < 0.5
    trouble = "silent" if dice < TROUBLE else "errors" if dice < 2 * TROUBLE else ""
    if not (trouble and before):
        # It knows no keys: whoever sends twice is paid twice, and the books show it.
        books.paid[order["key"]] = books.paid.get(order["key"], 0) + order["minor"]
    if trouble:
        setattr(books, trouble, getattr(books, trouble) + 1)
        return (0, None) if trouble == "silent" else (500, {})
    return 201, {"minor": order["minor"]}


async def serve(port: int) -> None:
    """Until somebody ends it."""
    books = Books()
    server = await asyncio.start_server(lambda r, w: answer(books, r, w), "127.0.0.1", port, backlog=512)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
