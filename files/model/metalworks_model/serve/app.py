"""The routes of the model server: recommendations, the Open Inference Protocol, health and metrics."""

from __future__ import annotations

import asyncio
import logging
import urllib.parse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from .. import __version__
from ..models.recommender import ROWS_BOUND, Recommended, Recommender, read_count, read_task
from ..models.tensors import BadInput
from . import oip
from .arms import Arms, Keeper, Loaded
from .http import TEXT, Request, Response
from .watching import AccessLog, Metrics

LOG = logging.getLogger(__name__)
ENCODER = msgspec.json.Encoder()
RETRY_AFTER = (b"Retry-After", b"1")


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """What /recommend is asked: for a user, or for the items of a basket."""

    user: str | None = None
    basket: list[str] | None = None
    count: int = 20
    task: str = "new"


class Answer(msgspec.Struct):
    """What /recommend answers."""

    model_name: str
    model_version: str
    request_id: str
    known: bool
    """Whether the model knows the user, or an item of the basket. If not, the items are popular ones."""
    unknown_items: list[str]
    items: list[Recommended]


QUESTION = msgspec.json.Decoder(Question)


def _pairs(query: bytes) -> dict[str, str]:
    """Return the values of a query. BadInput if it cannot be read, or says something twice."""
    try:
        pairs = urllib.parse.parse_qsl(
            query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query), errors="strict"
        )
    except ValueError:
        raise BadInput("the query cannot be read: write ?user=NAME or ?basket=ITEM,ITEM") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise BadInput(f"{name} is given twice")
        found[name] = value
    return found


def read_query(query: bytes) -> Question:
    """Return the question of a GET: ?user=NAME or ?basket=A,B with count and task. BadInput if it is none."""
    given: dict[str, Any] = dict(_pairs(query))
    if "basket" in given:
        given["basket"] = given["basket"].split(",")
    try:
        return msgspec.convert(given, Question, strict=False)
    except msgspec.ValidationError as problem:
        raise BadInput(f"the query does not fit: {problem}") from None


def read_question(request: Request) -> Question:
    """Return what is asked. BadInput says what is wrong with it."""
    if request.method == b"GET":
        asked = read_query(request.query)
    else:
        try:
            asked = QUESTION.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise BadInput(f"the body does not fit: {problem}") from None
    if (asked.user is None) == (asked.basket is None):
        raise BadInput("give either a user or a basket")
    if asked.user == "":
        raise BadInput("the user is empty: give a basket for a visitor whom nobody knows")
    if asked.basket is not None and len(asked.basket) > ROWS_BOUND:
        raise BadInput(f"a basket has at most {ROWS_BOUND} items")
    return asked


class App:
    """Answers requests with the versions of a keeper. One object for each process."""

    def __init__(self, keeper: Keeper, metrics: Metrics, log: AccessLog | None, threads: int = 1) -> None:
        """Take what has the versions, and what is told about answers."""
        self.keeper, self.metrics, self.log = keeper, metrics, log
        self.threads = ThreadPoolExecutor(threads, "infer")
        self.gauges: Callable[[], tuple[int, int]] = lambda: (0, 0)
        """Returns the length of the queue and the number of connections."""

    # What the HTTP server calls.

    def observe(self, request: Request, response: Response, seconds: float) -> None:
        """Note an answer."""
        own = seconds - (request.taken - request.began) if request.taken else None
        self.metrics.answered(response, seconds, own)
        if self.log:
            self.log.answered(request, response, seconds)

    def refusal(self, request: Request, status: int, reason: str, route: str = "refused") -> Response:
        """Word an error. All errors have the protocol's form, with the model that would have answered."""
        body = {"error": reason}
        name = version = ""
        if arms := self.keeper.arms:
            name, version = arms.champion.name, request.chosen or arms.champion.version
            body |= {"model_name": name, "model_version": version}
        headers = (RETRY_AFTER,) if status in (429, 503) else ()
        return Response(
            status, ENCODER.encode(body), headers=headers, model=name, version=version, route=route
        )

    def __call__(self, request: Request) -> Response | asyncio.Future[Response]:
        """Answer, or return what will answer where the model is slow."""
        path = request.path
        try:
            if path == b"/recommend":
                return self._recommend(request)
            if path in (b"/customers", b"/history"):
                return self._catalogue(request, path)
            if path.startswith(b"/v2"):
                return self._protocol(request, path.decode("ascii").split("/")[2:])
            if path == b"/metrics":
                return self._get(request, "metrics") or self._metrics()
        except BadInput as problem:
            return self.refusal(request, 400, str(problem), _route(path))
        except UnicodeDecodeError:
            pass
        except Exception:
            # One bad answer must not end the others. The log has the traceback, the client has the id.
            LOG.exception("request %s failed", request.id.decode("latin-1"))
            return self.refusal(
                request, 500, "an error of the server: its log has the request's id", _route(path)
            )
        return self.refusal(
            request, 404, "there is /recommend, /customers, /history, /v2 and /metrics", "none"
        )

    # The routes.

    def _get(self, request: Request, route: str) -> Response | None:
        return None if request.method in (b"GET", b"HEAD") else self._method(request, b"GET, HEAD", route)

    def _method(self, request: Request, allowed: bytes, route: str) -> Response:
        found = self.refusal(request, 405, f"use {allowed.decode()}", route)
        found.headers = ((b"Allow", allowed),)
        return found

    def _metrics(self) -> Response:
        waiting, connections = self.gauges()
        self.metrics.waiting.set(waiting)
        self.metrics.connections.set(connections)
        self.metrics.registry_failures.set(self.keeper.failures)
        self.metrics.refused.set(bool(self.keeper.problem))
        self.metrics.registry_asked.set(self.keeper.asked)
        return Response(200, self.metrics.page(), TEXT, route="metrics")

    def _recommend(self, request: Request) -> Response:
        if request.method not in (b"GET", b"POST"):
            return self._method(request, b"GET, POST", "recommend")
        arms = self.keeper.arms
        if arms is None:
            return self.refusal(request, 503, "no version is loaded yet", "recommend")
        asked = read_question(request)
        count, task = read_count(asked.count), read_task(asked.task)
        loaded = arms.choose(asked.user.encode() if asked.user is not None else request.id)
        request.chosen = loaded.version
        model = loaded.model
        if not isinstance(model, Recommender):
            return self.refusal(request, 404, f"{loaded.name} does not recommend: ask /v2", "recommend")
        unknown: list[str] = []
        if asked.user is not None:
            history = model.history(asked.user)
        else:
            history, unknown = model.basket(asked.basket or [])
        known = len(history.items) > 0
        self.metrics.customer(loaded.name, loaded.version, known)
        found = Answer(
            loaded.name,
            loaded.version,
            request.id.decode("latin-1"),
            known,
            unknown,
            model.recommend(history, count, task, asked.user),
        )
        return Response(
            200, ENCODER.encode(found), model=loaded.name, version=loaded.version, route="recommend"
        )

    def _catalogue(self, request: Request, path: bytes) -> Response:
        """Answer what a shop needs beside recommendations: customers to choose from, and what one bought."""
        if wrong := self._get(request, "catalogue"):
            return wrong
        arms = self.keeper.arms
        if arms is None:
            return self.refusal(request, 503, "no version is loaded yet", "catalogue")
        query = _pairs(request.query)
        user = query.get("user", "")
        # The list of customers is the same page for everybody, so no share of them sees the candidate's.
        loaded = arms.choose(user.encode()) if path == b"/history" else arms.champion
        request.chosen = loaded.version
        model = loaded.model
        if not isinstance(model, Recommender):
            return self.refusal(request, 404, f"{loaded.name} has no customers", "catalogue")
        body: dict[str, Any] = {"model_name": loaded.name, "model_version": loaded.version}
        if path == b"/customers":
            given = query.get("count", "20")
            count = read_count(int(given) if given.isdigit() and len(given) < 4 else given)
            body["customers"] = [{"user": each, "items": size} for each, size in model.customers(count)]
        else:
            if not user:
                raise BadInput("write ?user=NAME")
            history = model.history(user)
            order = (-history.weights).argsort(kind="stable")
            body["user"] = user
            body["items"] = [
                {"item": model.items[item], "name": model.names[item], "baskets": baskets}
                for item, baskets in zip(
                    history.items[order].tolist(), history.baskets[order].tolist(), strict=True
                )
            ]
        return Response(
            200, ENCODER.encode(body), model=loaded.name, version=loaded.version, route="catalogue"
        )

    def _nothing(self) -> str:
        """Say that nothing is loaded, and why, where that is known."""
        problem = self.keeper.problem
        return f"no version is loaded yet: {problem}" if problem else "no version is loaded yet"

    def _protocol(self, request: Request, parts: list[str]) -> Response | asyncio.Future[Response]:
        arms = self.keeper.arms
        match parts:
            case [] | [""]:
                name = arms.champion.name if arms else ""
                body = {
                    "name": "metalworks_model",
                    "version": __version__,
                    "extensions": oip.EXTENSIONS,
                    "model_name": name,
                }
                return self._get(request, "server") or Response(200, ENCODER.encode(body), route="server")
            case ["health", "live"]:
                return self._get(request, "health") or Response(200, b'{"live":true}', route="health")
            case ["health", "ready"]:
                if wrong := self._get(request, "health"):
                    return wrong
                if arms is None:
                    return self.refusal(request, 503, self._nothing(), "health")
                return Response(200, b'{"ready":true}', route="health")
            case ["models", name, *rest]:
                if arms is None:
                    return self.refusal(request, 503, self._nothing(), "model")
                if name != arms.champion.name:
                    return self.refusal(
                        request, 404, f"there is no model {name!r}: this is {arms.champion.name}", "model"
                    )
                return self._model(request, arms, rest)
        return self.refusal(request, 404, "the protocol has no such path", "none")

    def _model(self, request: Request, arms: Arms, rest: list[str]) -> Response | asyncio.Future[Response]:
        loaded: Loaded | None = None
        if len(rest) >= 2 and rest[0] == "versions":
            loaded, rest = arms.of(rest[1]), rest[2:]
            if loaded is None:
                have = ", ".join(each.version for each in arms.all)
                return self.refusal(request, 404, f"that version is not loaded: there is {have}", "model")
        match rest:
            case []:
                shown = loaded or arms.champion
                body = oip.metadata(shown.model, shown.name, [each.version for each in arms.all])
                return self._get(request, "model") or Response(
                    200, ENCODER.encode(body), model=shown.name, version=shown.version, route="model"
                )
            case ["ready"]:
                shown = loaded or arms.champion
                body = {"ready": True, "name": shown.name, "version": shown.version}
                if problem := self.keeper.problem or self.keeper.left_out:
                    body["problem"] = problem
                return self._get(request, "health") or Response(200, ENCODER.encode(body), route="health")
            case ["infer"]:
                if request.method != b"POST":
                    return self._method(request, b"POST", "infer")
                return self._infer(request, arms, loaded)
        return self.refusal(request, 404, "the protocol has no such path", "none")

    def _infer(
        self, request: Request, arms: Arms, loaded: Loaded | None
    ) -> Response | asyncio.Future[Response]:
        asked, rest = oip.read_request(request.body, request.headers.get(b"inference-header-content-length"))
        inputs = oip.read_inputs(asked, rest, arms.champion.model.inputs)
        if loaded is None:
            users = inputs.get("user")
            key = str(users.flat[0]).encode() if users is not None and users.size else request.id
            loaded = arms.choose(key)
        request.chosen = loaded.version
        chosen, model = loaded, loaded.model
        wanted = oip.wanted_outputs(asked, model)
        parameters = asked.parameters | {"explain": "because" in wanted}

        def answer() -> Response:
            arrays = model.infer(inputs, parameters)
            body, length = oip.answer(asked, model, chosen.name, chosen.version, arrays, wanted)
            found = Response(200, body, model=chosen.name, version=chosen.version, route="infer")
            if length is not None:
                found.content_type = b"application/octet-stream"
                found.headers = ((b"Inference-Header-Content-Length", str(length).encode()),)
            return found

        if not model.slow:
            found = answer()
            if isinstance(model, Recommender) and "user" in inputs:
                for each in inputs["user"].ravel().tolist():
                    self.metrics.customer(chosen.name, chosen.version, model.place(each) >= 0)
            return found

        def guarded() -> Response:
            try:
                return answer()
            except BadInput as problem:
                return self.refusal(request, 400, str(problem), "infer")
            except (Exception, SystemExit) as problem:
                return self.refusal(
                    request, 500, f"the model failed: {type(problem).__name__}: {problem}", "infer"
                )

        return asyncio.get_running_loop().run_in_executor(self.threads, guarded)


def _route(path: bytes) -> str:
    if path in (b"/customers", b"/history"):
        return "catalogue"
    return "recommend" if path == b"/recommend" else "infer" if path.endswith(b"/infer") else "other"
